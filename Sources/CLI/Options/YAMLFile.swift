import Tensors
import Yams

/// YAML files.
enum YAMLFile {
    /// A file with options: keys and values, one a line.
    /// - Throws: `SettingsError` that says what is wrong with it.
    static func read(_ path: String) throws -> [(key: String, node: Node)] {
        guard let root = try compose(path) else { return [] }
        guard let mapping = root.mapping else { throw SettingsError("\(path): expected keys and values, one option a line") }
        return mapping.compactMap { key, node in key.string.map { ($0, node) } }
    }

    /// The tree of a file; nil where it is empty.
    static func compose(_ path: String) throws -> Node? {
        let text: String
        do {
            let file = try MappedFile(path: path)
            guard let decoded = String(validating: file.bytes, as: UTF8.self) else { throw SettingsError("\(path): it is not valid UTF-8") }
            text = decoded
        } catch let error as FileError {
            throw SettingsError("\(error)")
        }
        do {
            return try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw SettingsError("\(path): \(error)")
        }
    }
}
