import Hub
import JSON
import Models
import Server
import Tensors
import Tokenizers
import Weights

/// Finds a model's tokenizer and chat template.
enum TextLoader {
    static func load(_ local: LocalModel, _ source: ModelSource, chatTemplate: String?) throws -> any TextModel {
        let template = try chatTemplate.map { try given($0) }
        if let vocabulary = try source.checkpoint.vocabulary() {
            let tokenizer = try Tokenizer(gguf: Tokenizers.GGUFVocabulary(vocabulary, source.checkpoint.gguf))
            let specials = TokenizerText.SpecialTokens(
                bos: vocabulary.bos.map { vocabulary.tokens[$0] }, eos: vocabulary.eos.map { vocabulary.tokens[$0] },
                unknown: vocabulary.unknown.map { vocabulary.tokens[$0] }, padding: vocabulary.padding.map { vocabulary.tokens[$0] })
            return try TokenizerText(tokenizer: tokenizer, chatTemplate: template ?? vocabulary.chatTemplate, specialTokens: specials)
        }
        let folder = local.folder
        let tokenizer = try tokenizer(in: folder)
        let config = try json("\(folder)/tokenizer_config.json")
        let map = try json("\(folder)/special_tokens_map.json")
        func token(_ key: String) -> String? {
            for value in [config?[key], map?[key]] {
                if let text = value?.string ?? value?["content"]?.string { return text }
            }
            return nil
        }
        let specials = TokenizerText.SpecialTokens(
            bos: token("bos_token"), eos: token("eos_token"), unknown: token("unk_token"), padding: token("pad_token"))
        return try TokenizerText(
            tokenizer: tokenizer, chatTemplate: try template ?? Self.template(in: folder, config), specialTokens: specials,
            truncatesFromLeft: config?["truncation_side"]?.string == "left")
    }

    private static func tokenizer(in folder: String) throws -> Tokenizer {
        for name in ["tokenizer.json", "tokenizer.json.gz", "tokenizer.model"] {
            let path = "\(folder)/\(name)"
            if Files.kind(path) == .file { return try Tokenizer(contentsOf: path) }
        }
        throw SettingsError("\(folder) holds no tokenizer: looked for tokenizer.json and tokenizer.model")
    }

    /// In the order of Transformers: a file of its own, then the tokenizer's configuration.
    private static func template(in folder: String, _ config: JSONValue?) throws -> String? {
        if let text = try text("\(folder)/chat_template.jinja") { return text }
        if let json = try json("\(folder)/chat_template.json"), let text = json["chat_template"]?.string { return text }
        switch config?["chat_template"] {
        case .string(let text)?: return text
        case .array(let named)?:
            let wanted = named.first { $0["name"]?.string == "default" } ?? named.first
            return wanted?["template"]?.string
        default: return nil
        }
    }

    /// `--chat-template`: a file, or the template itself.
    private static func given(_ value: String) throws -> String {
        if let text = try text(value) { return text }
        guard value.contains("{") else { throw SettingsError("--chat-template '\(value)' is neither a file nor a template") }
        return value
    }

    private static func text(_ path: String) throws -> String? {
        guard Files.kind(path) == .file else { return nil }
        let file = try MappedFile(path: path)
        return try file.withUnsafeBytes { bytes in
            guard let text = String(validating: bytes, as: UTF8.self) else { throw SettingsError("\(path) is not valid UTF-8") }
            return text
        }
    }

    private static func json(_ path: String) throws -> JSONValue? {
        guard Files.kind(path) == .file else { return nil }
        let file = try MappedFile(path: path)
        do {
            return try file.withUnsafeBytes { try JSONValue(parsing: $0.bindMemory(to: UInt8.self), options: .init(allowsNonFinite: true)) }
        } catch let error as JSONError {
            throw SettingsError("\(path): \(error)")
        }
    }
}

extension Tokenizers.GGUFVocabulary {
    /// What the checkpoint's reader found, as the tokenizer takes it.
    init(_ found: Weights.GGUFVocabulary, _ metadata: GGUFMetadata?) {
        self.init(model: found.model, pre: found.pre ?? "", tokens: Self.bytes(found.tokens))
        scores = found.scores
        tokenTypes = found.types
        merges = found.merges.map(Self.bytes) ?? []
        func id(_ value: Int?) -> Int32? { value.flatMap { Int32(exactly: $0) } }
        (bos, eos, unknown) = (id(found.bos), id(found.eos), id(found.unknown))
        (separator, padding, mask) = (id(found.separator), id(found.padding), id(found.mask))
        (addBOS, addEOS, addSeparator) = (found.addBOS, found.addEOS, found.addSEP)
        (addSpacePrefix, removeExtraWhitespaces) = (found.addSpacePrefix, found.removeExtraWhitespaces)
        precompiledCharsmap = found.precompiledCharsmap ?? []
        modelName = (try? metadata?.root.string(optional: "general.name")) ?? ""
        architecture = (try? metadata?.architecture) ?? ""
    }

    private static func bytes(_ strings: GGUFStrings) -> [[UInt8]] {
        strings.indices.map { strings.withBytes($0) { Array($0) } }
    }
}
