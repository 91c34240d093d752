import JSON
package import Tensors

extension Checkpoint {
    /// A JSON object beside the weights, for instance `config.json`; nil where there is no such file.
    package func json(_ name: String) throws(LoadError) -> ConfigReader? {
        guard let folder = folder.flatMap({ Folder($0) }), folder.contains(name) else { return nil }
        return try ConfigReader(file: folder.file(name))
    }

    /// `config.json`. GGUF files have `gguf` instead.
    package func config() throws(LoadError) -> ConfigReader {
        guard let config = try json("config.json") else { throw .file(path: path, reason: "there is no config.json") }
        return config
    }

    /// `generation_config.json`; all nil where there is none.
    package func generationConfig() throws(LoadError) -> GenerationConfig {
        guard let config = try json("generation_config.json") else { return GenerationConfig() }
        return try GenerationConfig(config)
    }

    /// The tokenizer data in a GGUF file; nil in other formats and where the file has none.
    package func vocabulary() throws(LoadError) -> GGUFVocabulary? { try gguf?.vocabulary() }
}

extension ConfigReader {
    /// Reads a JSON file that must hold an object. `NaN` and `Infinity` are taken, because Python writes them.
    package init(file path: String) throws(LoadError) { try self.init(file: try Checkpoint.mapped(path)) }

    /// As above, for a file that is mapped already.
    package init(file: MappedFile) throws(LoadError) {
        let path = file.path
        let value: JSONValue
        do {
            value = try JSONValue(parsing: file.bytes.assumingMemoryBound(to: UInt8.self), options: .init(maxDepth: 64, allowsNonFinite: true))
        } catch {
            throw .malformed(file: path, tensor: nil, reason: "\(error)")
        }
        guard let object = value.object else { throw .malformed(file: path, tensor: nil, reason: "is a JSON \(value.kind), not an object") }
        self.init(object, file: path)
    }
}
