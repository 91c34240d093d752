/// What SentencePiece models and the GGUF kinds "llama" and "t5" have in common: pieces with scores and types, and how text is made
/// ready for them.
struct SentencePieceParts {
    var pieces: [[UInt8]] = []
    var scores: [Float] = []
    var types: [Int32] = []
    var isUnigram = false
    var fallsBackToBytes = true
    var normalizer = SentencePieceNormalizer()
    var unknown: Int32?, bos: Int32?, eos: Int32?
    /// Sums of scores in single precision, as in SentencePiece.
    var isSingle = false
    var addsBOS = false, addsEOS = false
    /// White space that special tokens swallow on their right (Phi-3).
    var rightStripping: Set<Int32> = []

    private func type(_ id: Int) -> GGUFVocabulary.TokenType {
        (id < types.count ? GGUFVocabulary.TokenType(rawValue: types[id]) : nil) ?? .normal
    }

    func makeParts() throws(TokenizerError) -> TokenizerParts {
        guard scores.isEmpty || scores.count == pieces.count, types.isEmpty || types.count == pieces.count else {
            throw .malformed(part: "vocabulary", reason: "\(pieces.count) pieces have \(scores.count) scores and \(types.count) types")
        }
        if scores.contains(where: \.isNaN) { throw .malformed(part: "vocabulary", reason: "a score is not a number") }
        guard pieces.count <= TokenizerLimits.largestID, pieces.reduce(0, { $0 + $1.count }) < 1 << 24 else {
            throw .malformed(part: "vocabulary", reason: "the pieces are larger than any vocabulary")
        }
        let table = PieceTable(listing: pieces, keepsFirst: true)
        var unknown = unknown
        if unknown == nil { unknown = pieces.indices.first { type($0) == .unknown }.map { Int32($0) } }
        let model: Model
        if isUnigram {
            let usable = pieces.indices.map { id in
                switch type(id) {
                case .normal, .userDefined, .unused, .undefined: true
                default: false
                }
            }
            var lowest = Double.infinity
            let values = pieces.indices.map { id -> Double in
                let score = scores.isEmpty ? 0 : Double(scores[id])
                if type(id) == .normal { lowest = min(lowest, score) }
                return type(id) == .userDefined ? 0 : score
            }
            model = .unigram(UnigramModel(
                pieces: table, scores: values, usable: usable, unknown: unknown, lowest: lowest.isFinite ? lowest : 0,
                fallsBackToBytes: fallsBackToBytes, isSingle: isSingle))
        } else {
            model = .bpe(bpe(table, unknown))
        }
        let prefixed = normalizer.prefix != .never
        let decoder = Decoder.sequence(
            [.replace(.literal(WordCuts.marker), with: [0x20]), .byteFallback, .fuse] + (prefixed ? [.strip(content: [0x20], start: 1, stop: 0)] : []))
        var parts = TokenizerParts(model: model, pieces: table, decoder: decoder)
        parts.normalizer = .sentencePiece(normalizer)
        for id in pieces.indices {
            let kind = type(id)
            guard kind == .control || kind == .userDefined || kind == .unknown, !pieces[id].isEmpty else { continue }
            // User-defined pieces are met in the text with plain spaces.
            let content = kind == .userDefined ? Decoder.replacing(WordCuts.marker, in: pieces[id], with: [0x20]) : pieces[id]
            var token = AddedToken(id: Int32(id), content: String(decoding: content, as: UTF8.self))
            token.special = kind != .userDefined
            token.stripsRight = rightStripping.contains(Int32(id))
            parts.added.append(token)
        }
        parts.postProcessor = .framing(bos: addsBOS ? bos : nil, eos: addsEOS ? eos : nil)
        try parts.finish()
        return parts
    }

    /// Any two neighbours that spell a piece may join; the best score first.
    private func bpe(_ table: PieceTable, _ unknown: Int32?) -> BPEModel {
        let ranks = Storage<UInt32>(repeating: .max, count: pieces.count)
        let usable = pieces.indices.filter { id in
            switch type(id) {
            case .control, .unknown, .byte: false
            default: true
            }
        }
        let sorted = Set(usable.map { scores.isEmpty ? 0 : scores[$0] }).sorted(by: >)
        var rankOf: [Float: UInt32] = [:]
        for (rank, score) in sorted.enumerated() { rankOf[score] = UInt32(truncatingIfNeeded: rank) }
        var joined: Set<UInt8> = []
        for id in usable {
            ranks.base[id] = rankOf[scores.isEmpty ? 0 : scores[id]] ?? .max
            pieces[id].withUnsafeBufferPointer { WordCuts.collect($0, into: &joined) }
        }
        var options = BPEModel.Options()
        options.unknown = unknown
        options.fusesUnknown = true
        options.fallsBackToBytes = fallsBackToBytes
        let canCut = table.find(WordCuts.marker) != nil
        return BPEModel(pieces: table, joining: .pieces(ranks), options: options, cuts: canCut ? WordCuts(joinedBytes: joined) : nil)
    }
}

/// How SentencePiece makes a text ready: the character map, spaces, the space in front, and `▁` for spaces.
struct SentencePieceNormalizer: Sendable {
    enum Prefix: Sendable {
        case never
        /// At the start of the whole text, as SentencePiece itself does it; on each stretch between special tokens, as llama.cpp does.
        case first, always
    }

    var map: PrecompiledCharsmap?
    var prefix = Prefix.first
    var removesExtraSpaces = false
    var escapesSpaces = true

    func apply(_ text: inout WorkText) throws(TokenizerError) {
        if let map { map.applyLongest(&text) }
        if removesExtraSpaces { text.removeExtraSpaces() }
        if prefix == .always || prefix == .first && text.origin == 0 { text.prepend([0x20]) }
        if escapesSpaces { try Normalizer.replace(.literal([0x20]), with: WordCuts.marker).apply(&text) }
    }
}

extension WorkText {
    /// Runs of spaces become one; at the ends of the whole text none are left.
    mutating func removeExtraSpaces() {
        let leading = origin == 0 ? bytes.prefix { $0 == 0x20 }.count : 0
        let trailing = reachesEnd ? bytes.reversed().prefix { $0 == 0x20 }.count : 0
        let kept = leading..<max(leading, bytes.count - trailing)
        bytes = Array(bytes[kept])
        if isTracked { spans = Array(spans[kept]) }
        var runs: [Range<Int>] = [], start = -1
        for index in 0...bytes.count {
            if index < bytes.count, bytes[index] == 0x20 {
                if start < 0 { start = index }
            } else if start >= 0 {
                if index - start > 1 { runs.append(start..<index) }
                start = -1
            }
        }
        replace(runs, with: [0x20])
    }
}

extension PrecompiledCharsmap {
    /// Replaces the longest part that the map knows at each place.
    func applyLongest(_ text: inout WorkText) {
        var changes: [ScalarChange] = [], modified = false, index = 0
        let bytes = text.bytes
        while index < bytes.count {
            if let match = longestMatch(bytes[index...]) {
                modified = true
                let old = bytes[index..<(index + match.length)].reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) }
                let new = Array(String(decoding: match.replacement, as: UTF8.self).unicodeScalars)
                if new.isEmpty, !changes.isEmpty { changes[changes.count - 1].change -= old }
                for (place, scalar) in new.enumerated() {
                    let change = place < old ? (place == new.count - 1 ? new.count - old : 0) : 1
                    changes.append(ScalarChange(scalar: scalar.value, change: min(change, place < old ? 0 : 1)))
                }
                index += match.length
            } else {
                let width = min(UTF8Text.width(bytes[index]), bytes.count - index)
                let scalar = bytes.withUnsafeBufferPointer { $0.baseAddress.map { UTF8Text.scalar($0, index) } ?? 0 }
                changes.append(ScalarChange(scalar: scalar, change: 0))
                index += width
            }
        }
        if modified { text.transform(nil, changes) }
    }
}

extension PostProcessor {
    /// BOS before and EOS after each text, where given.
    static func framing(bos: Int32?, eos: Int32?) -> PostProcessor? {
        if bos == nil, eos == nil { return nil }
        func framed(_ second: Bool, type: Int32) -> [Piece] {
            (bos.map { [.special(ids: [$0], type: type)] } ?? []) + [.sequence(second: second, type: type)]
                + (eos.map { [.special(ids: [$0], type: type)] } ?? [])
        }
        return .template(single: framed(false, type: 0), pair: framed(false, type: 0) + framed(true, type: 1))
    }
}

extension PieceTable {
    /// Every piece by its place in the list.
    convenience init(listing pieces: [[UInt8]], keepsFirst: Bool = false) {
        var arena: [UInt8] = [], ranges: [Range<Int>?] = []
        arena.reserveCapacity(pieces.reduce(0) { $0 + $1.count })
        for piece in pieces {
            let start = arena.count
            arena.append(contentsOf: piece)
            ranges.append(start..<arena.count)
        }
        self.init(arena: arena, ranges: ranges, keepsFirst: keepsFirst)
    }
}
