import Glibc

/// Whole files of the user's.
enum TextFile {
    static func read(_ path: String) throws(TextFileError) -> [UInt8] {
        guard let file = fopen(path, "r") else { throw failure("read", path) }
        defer { fclose(file) }
        var bytes: [UInt8] = [], piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&piece, 1, piece.count, file)
            bytes += piece[..<count]
            if count < piece.count { break }
        }
        // Folders open but do not read.
        guard ferror(file) == 0 else { throw failure("read", path) }
        return bytes
    }

    /// Replaces the file at once, or leaves it as it was.
    static func write(_ text: String, to path: String) throws(TextFileError) {
        let temporary = "\(path).\(getpid()).tmp"
        guard let file = fopen(temporary, "w") else { throw failure("write", path) }
        let bytes = Array(text.utf8)
        let isWhole = fwrite(bytes, 1, bytes.count, file) == bytes.count
        let isClosed = fclose(file) == 0
        guard isWhole, isClosed, rename(temporary, path) == 0 else {
            let error = failure("write", path)
            unlink(temporary)
            throw error
        }
    }

    private static func failure(_ verb: String, _ path: String) -> TextFileError {
        TextFileError("cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }
}

package struct TextFileError: Error, Equatable, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}
