package import JSON

/// A model's configuration with typed getters that say what is wrong where: `config.json`, or the metadata of a GGUF file below a prefix.
///
/// A key that is absent and one that is `null` are the same. Getters with several keys take the first that is there, which serves
/// dialects: `try config.int("num_hidden_layers", "n_layer")`.
package struct ConfigReader: Sendable {
    enum Source: Sendable {
        case json(JSONObject)
        case gguf(GGUFMetadata, prefix: String)
    }

    /// For messages.
    package let file: String
    /// Where in the file this object is, for messages: empty, or ending with a dot.
    package let path: String
    let source: Source

    package init(_ object: JSONObject, file: String, path: String = "") {
        self.init(source: .json(object), file: file, path: path)
    }

    init(source: Source, file: String, path: String) {
        self.source = source
        self.file = file
        self.path = path
    }

    /// The object itself; nil for GGUF metadata.
    package var json: JSONObject? { if case .json(let object) = source { object } else { nil } }

    /// The value of the first of these keys that is there and not null.
    package func value(_ keys: String...) -> JSONValue? { first(keys)?.value }

    /// Whether the key is there and not null.
    package func has(_ key: String) -> Bool {
        switch source {
        case .json(let object): object[key].map { !$0.isNull } ?? false
        case .gguf(let metadata, let prefix): metadata.contains(prefix + key)
        }
    }

    func first(_ keys: [String]) -> (key: String, value: JSONValue)? {
        for key in keys {
            let value: JSONValue? =
                switch source {
                case .json(let object): object[key]
                case .gguf(let metadata, let prefix): metadata.json(prefix + key)
                }
            if let value, !value.isNull { return (key, value) }
        }
        return nil
    }

    /// An error about a key of this object.
    package func error(_ key: String, _ reason: String) -> LoadError { .config(file: file, key: path + key, reason: reason) }

    /// Throws unless `key` is absent or this string: what the code computes without looking.
    package func require(_ key: String, is expected: String...) throws(LoadError) {
        guard let found = try string(optional: key), !expected.contains(found) else { return }
        let wanted = expected.map { "'\($0)'" }.joined(separator: " or ")
        throw error(key, "is '\(found)'; only \(wanted) is supported")
    }
}
