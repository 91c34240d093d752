import Tensors

extension Checkpoint {
    /// Opens a model folder in the hub's layout (safetensors in one file or shards, or a GGUF model) or a `.gguf` or `.safetensors` file.
    /// Of a split GGUF model any part may be named.
    package static func open(_ path: String) throws(LoadError) -> Checkpoint {
        if let folder = Folder(path) { return try open(folder) }
        if path.utf8.hasSuffix(".gguf") { return try openGGUF(path) }
        if path.utf8.hasSuffix(".safetensors") {
            let records = try SafetensorsFile(path: path).records
            return try Checkpoint(path: path, folder: Folder.parent(of: path), format: .safetensors, gguf: nil, records: records)
        }
        // Says why it cannot be opened, if it cannot.
        _ = try mapped(path)
        throw .file(path: path, reason: "is neither a model folder nor a .gguf or .safetensors file")
    }

    private static func open(_ folder: Folder) throws(LoadError) -> Checkpoint {
        let single = "model.safetensors", index = "model.safetensors.index.json"
        let indices = folder.names.filter { $0.utf8.hasSuffix(".safetensors.index.json") }
        if folder.contains(index) { return try openIndexed(folder, index) }
        if folder.contains(single) { return try openSafetensors(folder, [single]) }
        let safetensors = folder.names.filter { $0.utf8.hasSuffix(".safetensors") }
        let parts = safetensors.filter { PartName($0, ending: ".safetensors")?.stem == "model" }
        if !parts.isEmpty { return try openSafetensors(folder, try complete(folder, parts, ending: ".safetensors")) }
        let models = folder.names.filter { $0.utf8.hasSuffix(".gguf") && (PartName($0, ending: ".gguf")?.part ?? 1) == 1 }
        if models.count == 1 { return try openGGUF(folder.file(models[0]), folder: folder.path) }
        if models.count > 1 {
            throw .file(path: folder.path, reason: "holds several GGUF models; name one of them: \(models.joined(separator: ", "))")
        }
        if indices.count == 1 { return try openIndexed(folder, indices[0]) }
        if safetensors.count == 1 { return try openSafetensors(folder, safetensors) }
        if safetensors.isEmpty, folder.names.contains(where: { $0.utf8.hasSuffix(".bin") || $0.utf8.hasSuffix(".pt") }) {
            throw .file(path: folder.path, reason: "holds PyTorch files only; convert them to safetensors")
        }
        throw .file(
            path: folder.path,
            reason: safetensors.isEmpty
                ? "holds no model: there is no .safetensors and no .gguf file"
                : "holds several .safetensors files and no \(index): \(safetensors.joined(separator: ", "))")
    }

    // MARK: safetensors

    private static func openSafetensors(_ folder: Folder, _ names: [String]) throws(LoadError) -> Checkpoint {
        var records: [TensorRecord] = []
        for name in names { records += try SafetensorsFile(path: folder.file(name)).records }
        return try Checkpoint(path: folder.path, folder: folder.path, format: .safetensors, gguf: nil, records: records)
    }

    /// All tensors of all files that the index names; each tensor of the index must be in its file.
    private static func openIndexed(_ folder: Folder, _ name: String) throws(LoadError) -> Checkpoint {
        let index = try SafetensorsIndex(file: try mapped(folder.file(name)))
        var files: [String: SafetensorsFile] = [:]
        var records: [TensorRecord] = []
        for name in index.files {
            guard folder.contains(name) else {
                throw .file(path: folder.file(name), reason: "no such file, but \(index.path) names it; is the download complete?")
            }
            let file = try SafetensorsFile(path: folder.file(name))
            files[name] = file
            records += file.records
        }
        for (tensor, file) in index.weightMap where files[file]?.record(tensor) == nil {
            throw .malformed(file: index.path, tensor: tensor, reason: "should be in \(file), but is not")
        }
        return try Checkpoint(path: folder.path, folder: folder.path, format: .safetensors, gguf: nil, records: records)
    }

    /// The names of all parts of the model that `parts` belong to, in order; throws where one is missing.
    private static func complete(_ folder: Folder, _ parts: [String], ending: String) throws(LoadError) -> [String] {
        let counts = Set(parts.compactMap { PartName($0, ending: ending)?.count })
        guard counts.count == 1, let first = parts.first, let any = PartName(first, ending: ending) else {
            throw .file(path: folder.path, reason: "holds parts of several models: \(parts.joined(separator: ", "))")
        }
        let names = (1...any.count).map(any.name)
        for name in names where !folder.contains(name) {
            throw .file(path: folder.file(name), reason: "no such file, but there are other parts of this model; is the download complete?")
        }
        return names
    }

    // MARK: GGUF

    private static func openGGUF(_ path: String, folder: String? = nil) throws(LoadError) -> Checkpoint {
        let named = try GGUFFile(path: path)
        let parts = try named.metadata.root.int(optional: "split.count", in: 0...99_999) ?? 1
        guard parts > 1 else {
            return try Checkpoint(path: folder ?? path, folder: folder, format: .gguf, gguf: named.metadata, records: named.records)
        }
        let start = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path.utf8.index(after: $0) } ?? path.startIndex
        guard let part = PartName(String(path[start...]), ending: ".gguf"), part.count == parts else {
            throw .file(path: path, reason: "is one of \(parts) parts, but its name does not end in '-00001-of-\(parts).gguf' or the like")
        }
        let directory = String(path[..<start])
        var records: [TensorRecord] = []
        var metadata = named.metadata
        for number in 1...parts {
            let file = number == part.part ? named : try GGUFFile(path: directory + part.name(number))
            // Parts count from 0 inside. Only the first holds the model's metadata.
            let inside = try file.metadata.root.int("split.no")
            guard inside == number - 1 else {
                throw .malformed(file: file.file.path, tensor: "split.no", reason: "is \(inside), but the file's name says part \(number)")
            }
            if number == 1 { metadata = file.metadata }
            records += file.records
        }
        if let total = try metadata.root.int(optional: "split.tensors.count"), total != records.count {
            throw .malformed(file: path, tensor: "split.tensors.count", reason: "is \(total), but the parts hold \(records.count) tensors")
        }
        return try Checkpoint(path: folder ?? path, folder: folder, format: .gguf, gguf: metadata, records: records)
    }

    static func mapped(_ path: String) throws(LoadError) -> MappedFile {
        do {
            return try MappedFile(path: path)
        } catch {
            throw LoadError(error)
        }
    }
}
