internal import JSON
internal import Tensors
package import Tokenizers
package import Weights

/// A model's tokenizer, chat template and the tokens that templates name, out of its folder or GGUF file.
package struct ModelText: Sendable {
    package let tokenizer: Tokenizer
    /// Source of the chat template; nil where the model has none.
    package let chatTemplate: String?
    package let specialTokens: SpecialTokens
    /// Prompts that are cut lose their beginning.
    package let truncatesFromLeft: Bool

    package struct SpecialTokens: Sendable, Equatable {
        package var bos: String?
        package var eos: String?
        package var unknown: String?
        package var padding: String?
    }

    /// - Parameters:
    ///   - folder: where configuration and tokenizer files are.
    ///   - checkpoint: a GGUF file holds its vocabulary itself; nil or another format reads the folder.
    ///   - chatTemplate: replaces the model's own: a file, or the template itself.
    ///   - cache: of vocabularies' tables.
    package static func load(folder: String, checkpoint: Checkpoint?, chatTemplate: String?, cache: TokenizerCache? = nil) throws -> ModelText {
        let template = try chatTemplate.map { try given($0) }
        if let checkpoint, let vocabulary = try checkpoint.vocabulary() {
            func token(_ id: Int?) -> String? { id.map { vocabulary.tokens[$0] } }
            return ModelText(
                tokenizer: try Tokenizer(gguf: Tokenizers.GGUFVocabulary(vocabulary, checkpoint.gguf)),
                chatTemplate: template ?? vocabulary.chatTemplate,
                specialTokens: SpecialTokens(
                    bos: token(vocabulary.bos), eos: token(vocabulary.eos), unknown: token(vocabulary.unknown), padding: token(vocabulary.padding)),
                truncatesFromLeft: false)
        }
        let config = try json("\(folder)/tokenizer_config.json"), map = try json("\(folder)/special_tokens_map.json")
        func token(_ key: String) -> String? {
            for value in [config?[key], map?[key]] {
                if let text = value?.string ?? value?["content"]?.string { return text }
            }
            return nil
        }
        return ModelText(
            tokenizer: try Tokenizer(contentsOf: folder, cache: cache), chatTemplate: try template ?? Self.template(in: folder, config),
            specialTokens: SpecialTokens(
                bos: token("bos_token"), eos: token("eos_token"), unknown: token("unk_token"), padding: token("pad_token")),
            truncatesFromLeft: config?["truncation_side"]?.string == "left")
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

    private static func given(_ value: String) throws -> String {
        if !value.contains("\n"), let text = try text(value) { return text }
        guard value.contains("{") else { throw ModelTextError("the chat template '\(value)' is neither a file nor a template") }
        return value
    }

    private static func text(_ path: String) throws -> String? {
        guard let file = try? MappedFile(path: path) else { return nil }
        return try file.withUnsafeBytes { bytes in
            guard let text = String(validating: bytes, as: UTF8.self) else { throw ModelTextError("\(path) is not valid UTF-8") }
            return text
        }
    }

    private static func json(_ path: String) throws -> JSONValue? {
        guard let file = try? MappedFile(path: path) else { return nil }
        do {
            return try file.withUnsafeBytes { try JSONValue(parsing: $0.bindMemory(to: UInt8.self), options: .init(allowsNonFinite: true)) }
        } catch let error as JSONError {
            throw ModelTextError("\(path): \(error)")
        }
    }
}

package struct ModelTextError: Error, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
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
