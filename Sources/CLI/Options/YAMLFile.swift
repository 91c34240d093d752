import Tensors
import Yams

/// Files with options: keys and values, one a line.
enum YAMLFile {
    /// - Throws: `SettingsError` that says what is wrong with it.
    static func read(_ path: String) throws -> [(key: String, node: Node)] {
        let text: String
        do {
            let file = try MappedFile(path: path)
            guard let decoded = String(validating: file.bytes, as: UTF8.self) else { throw SettingsError("\(path): it is not valid UTF-8") }
            text = decoded
        } catch let error as FileError {
            throw SettingsError("\(error)")
        }
        do {
            guard let root = try Yams.compose(yaml: text) else { return [] }
            guard let mapping = root.mapping else { throw SettingsError("\(path): expected keys and values, one option a line") }
            return mapping.compactMap { key, node in key.string.map { ($0, node) } }
        } catch let error as YamlError {
            throw SettingsError("\(path): \(error)")
        }
    }
}
