import JSON
import Tensors
import Yams

/// The variables of a worker, from wherever they may come, by their plain names.
///
/// Lowest first: the configuration file (VLLM_CONFIG_FILE), the environment with what was baked into the image laid over it, the same with
/// the prefix NEEDLETAIL_, and VLLM_EXTRA_ARGS.
struct WorkerVariables: Sendable {
    struct Entry: Sendable, Equatable {
        var value: String
        /// For messages: "MAX_MODEL_LEN", "VLLM_EXTRA_ARGS --max-model-len", "/vllm_config.yaml: max-model-len".
        var origin: String
    }

    private(set) var entries: [String: Entry] = [:]
    private(set) var warnings: [String] = []

    /// Ours alone: too plain to be taken without the prefix.
    static let prefixedOnly: Set<String> = ["NATIVE_OUTPUT", "GATEWAY_LOST_TIMEOUT", "STOP_GRACE", "STEP_TIMEOUT", "PREFETCH"]
    /// Read elsewhere.
    private static let elsewhere: Set<String> = [
        "VLLM_CONFIG_FILE", "VLLM_EXTRA_ARGS", "NEEDLETAIL_LOCAL_MODEL_ARGS", "NEEDLETAIL_DEFAULT_MODEL", "NEEDLETAIL_CACHE", "NEEDLETAIL_METRICS_PORT",
        "NEEDLETAIL_CONFIG", "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "VLLM_CPU_KVCACHE_SPACE", "NEEDLETAIL_TEST_INPUT",
        // Of `serve`, which is in the same image.
        "NEEDLETAIL_HOST", "NEEDLETAIL_PORT", "NEEDLETAIL_API_KEY",
    ]

    /// - Throws: `SettingsError` where a file or VLLM_EXTRA_ARGS cannot be read.
    init(environment: [String: String]) throws {
        if let path = Self.text(environment["VLLM_CONFIG_FILE"]) ?? (SmallFile.text("/vllm_config.yaml") == nil ? nil : "/vllm_config.yaml") {
            try addFile(path)
        }
        addEnvironment(environment)
        if let text = Self.text(environment["VLLM_CPU_KVCACHE_SPACE"]), entries["KV_CACHE_MEMORY"] == nil {
            entries["KV_CACHE_MEMORY"] = Entry(value: "\(text)GiB", origin: "VLLM_CPU_KVCACHE_SPACE")
        }
        try addBaked(environment)
        if let text = Self.text(environment["VLLM_EXTRA_ARGS"]) { try addArguments(text) }
    }

    /// nil for what counts as not set.
    static func text(_ value: String?) -> String? {
        guard let value, !value.isEmpty, value != "None" else { return nil }
        return value
    }

    private mutating func addEnvironment(_ environment: [String: String]) {
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) {
            guard let value = Self.text(value) else { continue }
            if EngineVariables.byName[name] != nil, !Self.prefixedOnly.contains(name) {
                if entries[name]?.origin.hasPrefix("NEEDLETAIL_") != true { entries[name] = Entry(value: value, origin: name) }
                continue
            }
            let plain = name.hasPrefix("NEEDLETAIL_") ? String(name.dropFirst(11)) : ""
            if EngineVariables.byName[plain] != nil {
                entries[plain] = Entry(value: value, origin: name)
            } else if !Self.elsewhere.contains(name), !EngineVariables.reserved.contains(name), EngineVariables.looksMeant(name) {
                warnings.append("\(name) is not known and has no effect")
            }
        }
    }

    /// What the image was built with wins over the environment.
    private mutating func addBaked(_ environment: [String: String]) throws {
        let path = Self.text(environment["NEEDLETAIL_LOCAL_MODEL_ARGS"]) ?? "/local_model_args.json"
        guard let file = try? MappedFile(path: path) else { return }
        guard let object = (try? JSONValue(parsing: Array(file.bytes)))?.object else {
            throw SettingsError("\(path) does not hold a JSON object")
        }
        for (name, value) in object.members {
            guard let text = Self.text(value.string ?? (value.isNull ? nil : value.text)) else { continue }
            entries[name] = Entry(value: text, origin: "\(path): \(name)")
        }
        isBaked = object["MODEL_NAME"]?.string.flatMap { Self.text($0) } != nil
    }

    /// Whether the image carries its model.
    private(set) var isBaked = false

    private mutating func addFile(_ path: String) throws {
        for (key, node) in try YAMLFile.read(path) {
            let name = Self.variable(key)
            guard EngineVariables.byName[name] != nil else {
                if !EngineVariables.reserved.contains(name) { warnings.append("\(path): '\(key)' is not known and has no effect") }
                continue
            }
            guard let value = Self.text(node.string ?? node.sequence.map { $0.compactMap(\.string).joined(separator: ",") }) else { continue }
            entries[name] = Entry(value: value, origin: "\(path): \(key)")
        }
    }

    /// Flags of `vllm serve`: `--max-model-len 4096`, `--max-model-len=4096`, `--enable-prefix-caching`, `--no-enable-prefix-caching`.
    private mutating func addArguments(_ text: String) throws {
        let words = try ShellWords.split(text)
        var index = 0
        while index < words.count {
            let word = words[index]
            index += 1
            guard word.hasPrefix("--") else { throw SettingsError("VLLM_EXTRA_ARGS: '\(word)' is no flag") }
            let key = word.dropFirst(2).prefix { $0 != "=" }
            var name = Self.variable(String(key))
            var value: String?
            if key.endIndex < word.endIndex {
                value = String(word[word.index(after: key.endIndex)...])
            } else if index < words.count, !words[index].hasPrefix("--") {
                value = words[index]
                index += 1
                // `--served-model-name a b` and the like.
                while index < words.count, !words[index].hasPrefix("--") {
                    value = (value ?? "") + "," + words[index]
                    index += 1
                }
            }
            if EngineVariables.byName[name] == nil, name.hasPrefix("NO_"), EngineVariables.byName[String(name.dropFirst(3))] != nil {
                name = String(name.dropFirst(3))
                value = "false"
            }
            guard EngineVariables.byName[name] != nil else { throw SettingsError("VLLM_EXTRA_ARGS: --\(key) is not known") }
            entries[name] = Entry(value: value ?? "true", origin: "VLLM_EXTRA_ARGS --\(key)")
        }
    }

    /// `max-model-len`, `max_model_len` and `MAX_MODEL_LEN`.
    private static func variable(_ key: String) -> String { key.uppercased().replacing("-", with: "_") }
}

/// A command line as a shell would split it: quotes and backslashes, nothing else.
enum ShellWords {
    static func split(_ text: String) throws -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var isEscaped = false
        for character in text {
            if isEscaped {
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if character.isWhitespace {
                if let done = word { words.append(done) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        if quote != nil || isEscaped { throw SettingsError("VLLM_EXTRA_ARGS: a quotation mark is not closed") }
        if let word { words.append(word) }
        return words
    }
}
