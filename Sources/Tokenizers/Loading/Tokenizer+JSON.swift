internal import JSON

extension Tokenizer {
    /// A tokenizer from the text of a `tokenizer.json`. Its `truncation` and `padding` are for training code and are not used.
    package convenience init(json bytes: UnsafeBufferPointer<UInt8>) throws(TokenizerError) {
        var scanner = JSONScanner(bytes, part: "tokenizer.json")
        var places: [String: Range<Int>] = [:]
        for member in try scanner.members() { places[member.name] = member.value }
        func component(_ name: String) throws(TokenizerError) -> JSONValue {
            guard let place = places[name] else { return .null }
            do { return try JSONValue(parsing: UnsafeBufferPointer(rebasing: bytes[place])) } catch {
                throw .malformed(part: name, reason: "\(error)")
            }
        }
        guard let place = places["model"] else { throw .malformed(part: "tokenizer.json", reason: "there is no 'model'") }
        let normalizer = try ComponentReader.normalizer(try component("normalizer"))
        var steps = try ComponentReader.preTokenizer(try component("pre_tokenizer"))
        let decoder = try ComponentReader.decoder(try component("decoder"))
        let postProcessor = try ComponentReader.postProcessor(try component("post_processor"))
        let added = places["added_tokens"] == nil ? [] : try ComponentReader.addedTokens(try component("added_tokens"))

        // Where GPT-2's alphabet is put on last, it is left out, and the vocabulary is read as bytes instead.
        let alphabets = steps.filter { if case .byteAlphabet = $0 { true } else { false } }.count
        var wantsRaw = alphabets == 1 && !(normalizer?.usesByteAlphabet ?? false)
        if wantsRaw, let last = steps.last, case .byteAlphabet = last {} else { wantsRaw = false }
        var reader = try ModelReader(bytes, at: place, wantsRaw: wantsRaw)
        let model = try reader.read()
        if reader.isRaw { steps.removeLast() }

        var parts = TokenizerParts(model: model, pieces: reader.pieces, decoder: decoder)
        parts.isRaw = reader.isRaw
        parts.unreachable = reader.unreachable
        parts.normalizer = normalizer
        parts.preTokenizer = PreTokenizer(steps: steps)
        parts.postProcessor = postProcessor
        parts.added = Self.numbered(added, parts)
        try parts.finish()
        self.init(parts)
    }

    /// The ids that the reference gives added tokens: the vocabulary's own where it has the piece, else the next free one, whatever
    /// the file says.
    private static func numbered(_ added: [AddedToken], _ parts: TokenizerParts) -> [AddedToken] {
        var taken: [[UInt8]: Int32] = [:], byID: [Int32: Int] = [:], tokens: [AddedToken] = []
        let size = (0..<parts.pieces.count).reduce(parts.unreachable.count) { $0 + (parts.pieces.contains($1) ? 1 : 0) }
        var next = Int32(truncatingIfNeeded: size)
        for token in added where !token.content.isEmpty {
            let content = Array(token.content.utf8)
            var token = token
            if let id = taken[content] ?? parts.id(ofWritten: content) {
                token.id = id
            } else {
                token.id = next
                next += 1
            }
            taken[content] = token.id
            if let place = byID[token.id] {
                tokens[place] = token
            } else {
                byID[token.id] = tokens.count
                tokens.append(token)
            }
        }
        return tokens
    }
}

extension Normalizer {
    var usesByteAlphabet: Bool {
        switch self {
        case .byteLevel: true
        case .sequence(let steps): steps.contains(where: \.usesByteAlphabet)
        default: false
        }
    }
}
