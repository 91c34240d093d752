internal import JSON

/// Reads the small components of a `tokenizer.json`: normalizer, pre-tokenizer, post-processor, decoder, added tokens.
enum ComponentReader {
    private static func kind(_ value: JSONValue, _ part: String) throws(TokenizerError) -> String {
        guard value.object != nil else { throw .malformed(part: part, reason: "expected an object, found \(value.kind)") }
        guard let kind = value["type"]?.string else { throw .malformed(part: part, reason: "there is no 'type'") }
        return kind
    }

    private static func text(_ value: JSONValue, _ name: String, _ part: String, or fallback: String? = nil) throws(TokenizerError) -> String {
        switch value[name] {
        case .string(let text)?: return text
        case nil, .null?:
            if let fallback { return fallback }
            throw .malformed(part: part, reason: "there is no '\(name)'")
        case let other?: throw .malformed(part: part, reason: "'\(name)' should be a string, found \(other.kind)")
        }
    }

    private static func flag(_ value: JSONValue, _ name: String, _ part: String, or fallback: Bool? = nil) throws(TokenizerError) -> Bool {
        switch value[name] {
        case .bool(let flag)?: return flag
        case nil, .null?:
            if let fallback { return fallback }
            throw .malformed(part: part, reason: "there is no '\(name)'")
        case let other?: throw .malformed(part: part, reason: "'\(name)' should be true or false, found \(other.kind)")
        }
    }

    private static func count(_ value: JSONValue, _ name: String, _ part: String, or fallback: Int? = nil) throws(TokenizerError) -> Int {
        if value[name] == nil, let fallback { return fallback }
        guard let number = value[name]?.int, (0...1_000_000).contains(number) else {
            throw .malformed(part: part, reason: "'\(name)' should be a number that is not negative")
        }
        return number
    }

    private static func id(_ value: JSONValue?, _ part: String) throws(TokenizerError) -> Int32 {
        guard let id = value?.int, (0...TokenizerLimits.largestID).contains(id) else {
            throw .malformed(part: part, reason: "expected a token id, found \(value?.text ?? "nothing")")
        }
        return Int32(id)
    }

    private static func list(_ value: JSONValue, _ name: String, _ part: String) throws(TokenizerError) -> [JSONValue] {
        guard let list = value[name]?.array else { throw .malformed(part: part, reason: "'\(name)' should be a list") }
        return list
    }

    private static func matcher(_ value: JSONValue, _ part: String) throws(TokenizerError) -> (text: String, isRegex: Bool) {
        switch value["pattern"] {
        case .string(let text)?: return (text, false)
        case let pattern?:
            if let text = pattern["String"]?.string { return (text, false) }
            if let text = pattern["Regex"]?.string { return (text, true) }
            throw .malformed(part: part, reason: "'pattern' has neither 'String' nor 'Regex'")
        case nil: throw .malformed(part: part, reason: "there is no 'pattern'")
        }
    }

    // MARK: Normalizer

    static func normalizer(_ value: JSONValue, part: String = "normalizer", depth: Int = 0) throws(TokenizerError) -> Normalizer? {
        if value.isNull { return nil }
        if depth > 16 { throw .malformed(part: part, reason: "nested too deeply") }
        let kind = try kind(value, part), here = "\(part) (\(kind))"
        switch kind {
        case "BertNormalizer", "Bert":
            let lowercases = try flag(value, "lowercase", here)
            return .bert(
                cleans: try flag(value, "clean_text", here), spacesCJK: try flag(value, "handle_chinese_chars", here),
                stripsAccents: try flag(value, "strip_accents", here, or: lowercases), lowercases: lowercases)
        case "NFC": return .form(.nfc)
        case "NFD": return .form(.nfd)
        case "NFKC": return .form(.nfkc)
        case "NFKD": return .form(.nfkd)
        case "Lowercase": return .lowercase
        case "StripAccents": return .stripAccents
        case "Strip": return .strip(left: try flag(value, "strip_left", here), right: try flag(value, "strip_right", here))
        case "Prepend": return .prepend(Array(try text(value, "prepend", here).utf8))
        case "Nmt": return .nmt
        case "ByteLevel": return .byteLevel
        case "Replace":
            let (pattern, isRegex) = try matcher(value, here), content = Array(try text(value, "content", here).utf8)
            return .replace(isRegex ? .pattern(try Pattern(pattern, part: here)) : .literal(Array(pattern.utf8)), with: content)
        case "Precompiled":
            guard let blob = Base64.decode(try text(value, "precompiled_charsmap", here)) else {
                throw .malformed(part: here, reason: "the character map is not base64")
            }
            return .precompiled(try PrecompiledCharsmap(blob, part: here))
        case "Sequence":
            var steps: [Normalizer] = []
            for (index, step) in try list(value, "normalizers", here).enumerated() {
                if let step = try normalizer(step, part: "\(part)[\(index)]", depth: depth + 1) { steps.append(step) }
            }
            return steps.isEmpty ? nil : .sequence(steps)
        default: throw .unsupported(part: part, name: kind)
        }
    }

    // MARK: Pre-tokenizer

    static func preTokenizer(_ value: JSONValue, part: String = "pre_tokenizer", depth: Int = 0) throws(TokenizerError) -> [PreTokenizer.Step] {
        if value.isNull { return [] }
        if depth > 16 { throw .malformed(part: part, reason: "nested too deeply") }
        let kind = try kind(value, part), here = "\(part) (\(kind))"
        switch kind {
        case "BertPreTokenizer":
            return [.split(.classes(.whiteSpace, .removed)), .split(.classes(.bertPunctuation, .isolated))]
        case "ByteLevel":
            var steps: [PreTokenizer.Step] = try flag(value, "add_prefix_space", here, or: true) ? [.prefixSpace] : []
            if try flag(value, "use_regex", here, or: true) { steps.append(.split(.words(.gpt2))) }
            return steps + [.byteAlphabet]
        case "CharDelimiterSplit", "Delimiter":
            let delimiter = try text(value, "delimiter", here)
            guard delimiter.unicodeScalars.count == 1, let scalar = delimiter.unicodeScalars.first else {
                throw .malformed(part: here, reason: "'delimiter' should be one character")
            }
            return [.split(.scalar(scalar.value, .removed))]
        case "Digits":
            return [.split(.classes(.numeric, try flag(value, "individual_digits", here) ? .isolated : .contiguous))]
        case "FixedLength":
            let length = try count(value, "length", here, or: 5)
            guard length > 0 else { throw .malformed(part: here, reason: "'length' should be at least 1") }
            return [.split(.fixedLength(length))]
        case "Metaspace":
            let (replacement, scheme) = try metaspace(value, here)
            return [.metaspace(replacement: replacement, scheme, splits: try flag(value, "split", here, or: true))]
        case "Punctuation": return [.split(.classes(.bertPunctuation, try behavior(value, here, or: .isolated)))]
        case "Sequence":
            var steps: [PreTokenizer.Step] = []
            for (index, step) in try list(value, "pretokenizers", here).enumerated() {
                steps += try preTokenizer(step, part: "\(part)[\(index)]", depth: depth + 1)
            }
            return steps
        case "Split":
            let (pattern, isRegex) = try matcher(value, here), behavior = try behavior(value, here, or: nil)
            let inverted = try flag(value, "invert", here, or: false)
            if !isRegex { return [.split(.literal(Array(pattern.utf8), behavior, inverted: inverted))] }
            return [.split(try splitter(pattern, behavior, inverted: inverted, part: here))]
        case "UnicodeScripts": return [.split(.scripts)]
        case "Whitespace": return [.split(.wordsAndPunctuation)]
        case "WhitespaceSplit": return [.split(.classes(.whiteSpace, .removed))]
        default: throw .unsupported(part: part, name: kind)
        }
    }

    /// A pattern's own matcher, if there is one.
    static func splitter(_ pattern: String, _ behavior: SplitBehavior, inverted: Bool, part: String) throws(TokenizerError) -> Splitter {
        if let words = WordPattern.recognise(pattern) {
            // Patterns that cover every text: the parts are the same, matched or isolated.
            let covers: Bool
            switch words.family {
            case .deepseek, .digits: covers = false
            default: covers = true
            }
            if behavior == .isolated || covers && behavior == .removed && inverted { return .words(words) }
        }
        return .pattern(try Pattern(pattern, part: part), behavior, inverted: inverted)
    }

    private static func behavior(_ value: JSONValue, _ part: String, or fallback: SplitBehavior?) throws(TokenizerError) -> SplitBehavior {
        if value["behavior"] == nil, let fallback { return fallback }
        let name = try text(value, "behavior", part)
        guard let behavior = SplitBehavior(rawValue: name) else { throw .unsupported(part: "\(part).behavior", name: name) }
        return behavior
    }

    private static func metaspace(_ value: JSONValue, _ part: String) throws(TokenizerError) -> ([UInt8], PreTokenizer.PrependScheme) {
        let replacement = Array(try text(value, "replacement", part).utf8)
        let scheme: PreTokenizer.PrependScheme
        switch try text(value, "prepend_scheme", part, or: "always") {
        case "first": scheme = .first
        case "never": scheme = .never
        case "always": scheme = .always
        case let name: throw .unsupported(part: "\(part).prepend_scheme", name: name)
        }
        guard try !flag(value, "add_prefix_space", part, or: true) else { return (replacement, scheme) }
        // The older key alone means never; the reference refuses the two where they disagree.
        if value["prepend_scheme"] != nil, scheme != .never {
            throw .malformed(part: part, reason: "'add_prefix_space' is false and 'prepend_scheme' is not 'never'")
        }
        return (replacement, .never)
    }

    // MARK: Post-processor

    static func postProcessor(_ value: JSONValue, part: String = "post_processor", depth: Int = 0) throws(TokenizerError) -> PostProcessor? {
        if value.isNull { return nil }
        if depth > 16 { throw .malformed(part: part, reason: "nested too deeply") }
        let kind = try kind(value, part), here = "\(part) (\(kind))"
        func pair(_ name: String) throws(TokenizerError) -> Int32 {
            guard let pair = value[name]?.array, pair.count == 2 else { throw .malformed(part: here, reason: "'\(name)' should be a token and its id") }
            return try id(pair[1], here)
        }
        switch kind {
        case "ByteLevel":
            return .byteLevel(trims: try flag(value, "trim_offsets", here, or: true), prefixed: try flag(value, "add_prefix_space", here, or: true))
        case "BertProcessing": return .bert(separator: try pair("sep"), start: try pair("cls"))
        case "RobertaProcessing":
            return .roberta(
                separator: try pair("sep"), start: try pair("cls"), trims: try flag(value, "trim_offsets", here, or: true),
                prefixed: try flag(value, "add_prefix_space", here, or: true))
        case "TemplateProcessing":
            return .template(single: try template(value, "single", here), pair: try template(value, "pair", here))
        case "Sequence":
            var steps: [PostProcessor] = []
            for (index, step) in try list(value, "processors", here).enumerated() {
                if let step = try postProcessor(step, part: "\(part)[\(index)]", depth: depth + 1) { steps.append(step) }
            }
            return .sequence(steps)
        default: throw .unsupported(part: part, name: kind)
        }
    }

    private static func template(_ value: JSONValue, _ name: String, _ part: String) throws(TokenizerError) -> [PostProcessor.Piece] {
        var pieces: [PostProcessor.Piece] = []
        for piece in try list(value, name, part) {
            if let sequence = piece["Sequence"] {
                let letter = try text(sequence, "id", part)
                guard letter == "A" || letter == "B" else { throw .unsupported(part: "\(part).\(name)", name: letter) }
                if letter == "B", name == "single" { throw .malformed(part: part, reason: "'single' asks for a second text") }
                pieces.append(.sequence(second: letter == "B", type: Int32(try count(sequence, "type_id", part, or: 0))))
            } else if let special = piece["SpecialToken"] {
                let token = try text(special, "id", part)
                guard let ids = value["special_tokens"]?[token]?["ids"]?.array else {
                    throw .malformed(part: part, reason: "'special_tokens' lacks '\(token)'")
                }
                var numbers: [Int32] = []
                for value in ids { numbers.append(try id(value, part)) }
                pieces.append(.special(ids: numbers, type: Int32(try count(special, "type_id", part, or: 0))))
            } else {
                throw .malformed(part: part, reason: "'\(name)' has a piece that is neither 'Sequence' nor 'SpecialToken'")
            }
        }
        return pieces
    }

    // MARK: Decoder

    static func decoder(_ value: JSONValue, part: String = "decoder", depth: Int = 0) throws(TokenizerError) -> Decoder {
        if value.isNull { return .joinedBySpaces }
        if depth > 16 { throw .malformed(part: part, reason: "nested too deeply") }
        let kind = try kind(value, part), here = "\(part) (\(kind))"
        switch kind {
        case "BPEDecoder": return .bpe(suffix: Array(try text(value, "suffix", here, or: "</w>").utf8))
        case "ByteLevel": return .byteLevel
        case "ByteFallback": return .byteFallback
        case "Fuse": return .fuse
        case "CTC":
            return .ctc(
                padding: Array(try text(value, "pad_token", here).utf8), delimiter: Array(try text(value, "word_delimiter_token", here).utf8),
                cleansUp: try flag(value, "cleanup", here))
        case "Metaspace":
            let (replacement, scheme) = try metaspace(value, here)
            return .metaspace(replacement: replacement, removesFirst: scheme != .never)
        case "Replace":
            let (pattern, isRegex) = try matcher(value, here), content = Array(try text(value, "content", here).utf8)
            return .replace(isRegex ? .pattern(try Pattern(pattern, part: here)) : .literal(Array(pattern.utf8)), with: content)
        case "Strip":
            return .strip(
                content: Array(try text(value, "content", here).utf8), start: try count(value, "start", here),
                stop: try count(value, "stop", here))
        case "WordPiece":
            return .wordPiece(prefix: Array(try text(value, "prefix", here).utf8), cleansUp: try flag(value, "cleanup", here))
        case "Sequence":
            var steps: [Decoder] = []
            for (index, step) in try list(value, "decoders", here).enumerated() {
                steps.append(try decoder(step, part: "\(part)[\(index)]", depth: depth + 1))
            }
            return .sequence(steps)
        default: throw .unsupported(part: part, name: kind)
        }
    }

    // MARK: Added tokens

    static func addedTokens(_ value: JSONValue) throws(TokenizerError) -> [AddedToken] {
        guard let list = value.array else { throw .malformed(part: "added_tokens", reason: "expected a list, found \(value.kind)") }
        var tokens: [AddedToken] = []
        for (index, entry) in list.enumerated() {
            let part = "added_tokens[\(index)]"
            var token = AddedToken(id: try id(entry["id"], part), content: try text(entry, "content", part))
            token.singleWord = try flag(entry, "single_word", part, or: false)
            token.stripsLeft = try flag(entry, "lstrip", part, or: false)
            token.stripsRight = try flag(entry, "rstrip", part, or: false)
            token.special = try flag(entry, "special", part, or: false)
            token.normalized = try flag(entry, "normalized", part, or: !token.special)
            tokens.append(token)
        }
        return tokens
    }
}

/// Base64 as `tokenizer.json` holds it.
enum Base64 {
    static func decode(_ text: String) -> [UInt8]? {
        var output: [UInt8] = [], buffer: UInt32 = 0, bits = 0, ended = false
        output.reserveCapacity(text.utf8.count * 3 / 4)
        for byte in text.utf8 {
            let value: UInt8
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - 65
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - 71
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte + 4
            case UInt8(ascii: "+"), UInt8(ascii: "-"): value = 62
            case UInt8(ascii: "/"), UInt8(ascii: "_"): value = 63
            case UInt8(ascii: "="), UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                ended = ended || byte == UInt8(ascii: "=")
                continue
            default: return nil
            }
            if ended { return nil }
            buffer = buffer << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                output.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
            }
        }
        return output
    }
}
