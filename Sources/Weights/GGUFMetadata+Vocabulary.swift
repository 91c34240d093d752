extension GGUFMetadata {
    /// The tokenizer data; nil where the file has no tokens.
    package func vocabulary() throws(LoadError) -> GGUFVocabulary? {
        func key(_ name: String) -> String { "tokenizer.ggml." + name }
        guard let tokens = try strings(key("tokens")) else { return nil }
        let config = root
        func perToken<Value>(_ name: String, _ values: [Value]?) throws(LoadError) -> [Value] {
            guard let values else { return [] }
            guard values.count == tokens.count else {
                throw .config(file: path, key: key(name), reason: "has \(values.count) elements for \(tokens.count) tokens")
            }
            return values
        }
        func id(_ names: String...) throws(LoadError) -> Int? {
            for name in names {
                guard let id = try config.int(optional: key(name), in: -1...0xFFFF_FFFF) else { continue }
                // -1, in either width, is how writers say "none".
                if id == -1 || id == 0xFFFF_FFFF { return nil }
                guard id < tokens.count else {
                    throw .config(file: path, key: key(name), reason: "is \(id), but there are \(tokens.count) tokens")
                }
                return id
            }
            return nil
        }
        let templatePrefix = "tokenizer.chat_template."
        var templates: [(name: String, template: String)] = []
        for name in keys where name.utf8.hasPrefix(templatePrefix) {
            templates.append((String(Substring(name.utf8.dropFirst(templatePrefix.utf8.count))), try config.string(name)))
        }
        return GGUFVocabulary(
            model: try config.string(key("model")),
            pre: try config.string(optional: key("pre")),
            tokens: tokens,
            scores: try perToken("scores", try floats(key("scores"))),
            types: try perToken("token_type", try int32s(key("token_type"))),
            merges: try strings(key("merges")),
            bos: try id("bos_token_id"), eos: try id("eos_token_id"), eot: try id("eot_token_id"), eom: try id("eom_token_id"),
            unknown: try id("unknown_token_id"),
            // The misspelling is the key's name in the format.
            separator: try id("seperator_token_id", "separator_token_id"),
            padding: try id("padding_token_id"), mask: try id("mask_token_id"), classification: try id("cls_token_id"),
            addBOS: try config.bool(optional: key("add_bos_token")),
            addEOS: try config.bool(optional: key("add_eos_token")),
            addSEP: try config.bool(optional: key("add_sep_token")),
            addSpacePrefix: try config.bool(optional: key("add_space_prefix")),
            removeExtraWhitespaces: try config.bool(optional: key("remove_extra_whitespaces")),
            precompiledCharsmap: try bytes(key("precompiled_charsmap")),
            chatTemplate: try config.string(optional: "tokenizer.chat_template"),
            namedChatTemplates: templates)
    }
}
