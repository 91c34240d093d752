internal import JSON

extension Tokenizer {
    /// A tokenizer from the text of a `tokenizer.json`. Its `truncation` and `padding` are for training code and are not used.
    package convenience init(json bytes: UnsafeBufferPointer<UInt8>) throws(TokenizerError) {
        var reader = try TokenizerJSONReader(bytes)
        self.init(try reader.parts())
    }
}

/// Reads a `tokenizer.json`.
struct TokenizerJSONReader {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var places: [String: Range<Int>] = [:]
    private var model: ModelReader

    /// - Parameter tables: what an earlier reading made of the vocabulary and merges, which the text then lacks (`skeleton`).
    init(_ bytes: UnsafeBufferPointer<UInt8>, tables: VocabularyTables? = nil) throws(TokenizerError) {
        self.bytes = bytes
        var scanner = JSONScanner(bytes, part: "tokenizer.json")
        for member in try scanner.members() { places[member.name] = member.value }
        guard let place = places["model"] else { throw .malformed(part: "tokenizer.json", reason: "there is no 'model'") }
        model = try ModelReader(bytes, at: place, tables: tables)
    }

    /// Tables that can be kept for another start; there are some after `parts`, for byte-pair encoding.
    var tables: VocabularyTables? { model.tables }

    /// The text with an empty vocabulary and no merges.
    var skeleton: [UInt8] {
        var text: [UInt8] = [], end = 0
        for (range, empty) in model.lists.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
            text += bytes[end..<range.lowerBound]
            text += Array(empty.utf8)
            end = range.upperBound
        }
        return text + bytes[end...]
    }

    private func component(_ name: String) throws(TokenizerError) -> JSONValue {
        guard let place = places[name] else { return .null }
        do { return try JSONValue(parsing: UnsafeBufferPointer(rebasing: bytes[place])) } catch {
            throw .malformed(part: name, reason: "\(error)")
        }
    }

    mutating func parts() throws(TokenizerError) -> TokenizerParts {
        let normalizer = try ComponentReader.normalizer(try component("normalizer"))
        var steps = try ComponentReader.preTokenizer(try component("pre_tokenizer"))
        let decoder = try ComponentReader.decoder(try component("decoder"))
        let postProcessor = try ComponentReader.postProcessor(try component("post_processor"))
        let added = places["added_tokens"] == nil ? [] : try ComponentReader.addedTokens(try component("added_tokens"))

        // Where GPT-2's alphabet is put on last, it is left out, and the vocabulary is read as bytes instead.
        let alphabets = steps.filter { if case .byteAlphabet = $0 { true } else { false } }.count
        var wantsRaw = alphabets == 1 && !(normalizer?.usesByteAlphabet ?? false)
        if wantsRaw, let last = steps.last, case .byteAlphabet = last {} else { wantsRaw = false }
        let read = try model.read(wantsRaw: wantsRaw)
        if model.isRaw { steps.removeLast() }

        var parts = TokenizerParts(model: read, pieces: model.pieces, decoder: decoder)
        parts.isRaw = model.isRaw
        parts.unreachable = model.unreachable
        parts.normalizer = normalizer
        parts.preTokenizer = PreTokenizer(steps: steps)
        parts.postProcessor = postProcessor
        parts.added = Self.numbered(added, parts)
        try parts.finish()
        return parts
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
