import Glibc
import Tensors

/// Files beside the weights.
package enum FolderFiles {
    package static func write(_ text: String, to path: String) throws(QuantiseError) {
        guard let file = fopen(path, "w") else { throw failure(path) }
        var text = text
        let written = text.withUTF8 { fwrite($0.baseAddress, 1, $0.count, file) }
        guard fclose(file) == 0, written == text.utf8.count else { throw failure(path) }
    }

    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    package static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether both names are of one file or folder.
    package static func isSame(_ a: String, _ b: String) -> Bool {
        var first = stat(), second = stat()
        return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev && first.st_ino == second.st_ino
    }

    package static func makeFolder(_ path: String) throws(QuantiseError) {
        guard mkdir(path, 0o755) == 0 else { throw failure(path) }
    }

    /// Gives a finished folder its name.
    package static func rename(_ path: String, to target: String) throws(QuantiseError) {
        guard Glibc.rename(path, target) == 0 else { throw failure(target) }
    }

    /// Removes a file, or a folder with the files in it.
    package static func remove(_ path: String) {
        for name in names(in: path) ?? [] { unlink("\(path)/\(name)") }
        if rmdir(path) != 0 { unlink(path) }
    }

    /// Configuration, tokenizer, templates: everything but weights, their indices and what a run will write itself.
    static func copySmallFiles(from source: String, to target: String) throws {
        let weights = [".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx", ".index.json"]
        for name in names(in: source) ?? [] where name != "config.json" && !name.hasPrefix(".") && !weights.contains(where: { name.hasSuffix($0) }) {
            var status = stat()
            guard stat("\(source)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size < 256 << 20 else { continue }
            guard status.st_size > 0 else { try write("", to: "\(target)/\(name)"); continue }
            let file = try MappedFile(path: "\(source)/\(name)")
            try file.withUnsafeBytes { bytes in
                guard let output = fopen("\(target)/\(name)", "w") else { throw failure("\(target)/\(name)") }
                let written = fwrite(bytes.baseAddress, 1, bytes.count, output)
                guard fclose(output) == 0, written == bytes.count else { throw failure("\(target)/\(name)") }
            }
        }
    }

    private static func names(in folder: String) -> [String]? {
        guard let directory = opendir(folder) else { return nil }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func failure(_ path: String) -> QuantiseError { QuantiseError("\(path) cannot be written: \(String(cString: strerror(errno)))") }
}
