internal import JSON

/// Reads the `model` of a `tokenizer.json`.
struct ModelReader {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var places: [String: Range<Int>] = [:]
    /// Whether pieces are to be read as raw bytes; see `TokenizerParts.isRaw`.
    private var wantsRaw = false
    /// Given: used in place of the lists. Else made, of byte-pair encoding.
    private(set) var tables: VocabularyTables?
    private(set) var isRaw = false
    private(set) var unreachable: [Int32: [UInt8]] = [:]
    private(set) var pieces = PieceTable(arena: [], ranges: [])

    init(_ bytes: UnsafeBufferPointer<UInt8>, at place: Range<Int>, tables: VocabularyTables?) throws(TokenizerError) {
        self.bytes = bytes
        self.tables = tables
        var scanner = JSONScanner(bytes, at: place.lowerBound, part: "model")
        for member in try scanner.members() { places[member.name] = member.value }
    }

    private func value(_ name: String) throws(TokenizerError) -> JSONValue? {
        guard let place = places[name] else { return nil }
        do {
            let value = try JSONValue(parsing: UnsafeBufferPointer(rebasing: bytes[place]), options: .init(allowsNonFinite: true))
            // Spelt out: a bare nil would be JSON's null.
            return value.isNull ? Optional<JSONValue>.none : value
        } catch {
            throw .malformed(part: "model.\(name)", reason: "\(error)")
        }
    }

    private func flag(_ name: String) throws(TokenizerError) -> Bool {
        guard let value = try value(name) else { return false }
        guard let flag = value.bool else { throw .malformed(part: "model.\(name)", reason: "expected true or false, found \(value.kind)") }
        return flag
    }

    private func text(_ name: String) throws(TokenizerError) -> String? {
        guard let value = try value(name) else { return nil }
        guard let text = value.string else { throw .malformed(part: "model.\(name)", reason: "expected a string, found \(value.kind)") }
        return text
    }

    /// Places of the large lists, each with an empty one.
    var lists: [(range: Range<Int>, empty: String)] {
        [("vocab", "{}"), ("merges", "[]")].compactMap { name, empty in places[name].map { ($0, empty) } }
    }

    mutating func read(wantsRaw: Bool) throws(TokenizerError) -> Model {
        self.wantsRaw = wantsRaw
        let kind: String
        if let type = try text("type") {
            kind = type
        } else if places["merges"] != nil {
            kind = "BPE"
        } else if let place = places["vocab"], bytes[place.lowerBound] == UInt8(ascii: "[") {
            kind = "Unigram"
        } else {
            kind = places["max_input_chars_per_word"] != nil ? "WordPiece" : "WordLevel"
        }
        guard places["vocab"] != nil else { throw .malformed(part: "model", reason: "there is no 'vocab'") }
        switch kind {
        case "BPE": return .bpe(try bpe())
        case "Unigram": return .unigram(try unigram())
        case "WordPiece": return .wordPiece(try wordPiece())
        case "WordLevel":
            try readVocabulary(raw: false)
            return .wordLevel(WordLevelModel(pieces: pieces, unknown: try text("unk_token").flatMap { pieces.find(Array($0.utf8)) }))
        default: throw .unsupported(part: "model.type", name: kind)
        }
    }

    /// `"piece": id` pairs.
    private mutating func readVocabulary(raw: Bool) throws(TokenizerError) {
        guard let place = places["vocab"] else { return }
        var scanner = JSONScanner(bytes, at: place.lowerBound, part: "model.vocab")
        var arena: [UInt8] = [], ranges: [Range<Int>?] = []
        arena.reserveCapacity(place.count / 2)
        var written: [UInt8] = []
        try scanner.expect(UInt8(ascii: "{"))
        if !scanner.take(UInt8(ascii: "}")) {
            while true {
                let start = arena.count
                if raw {
                    written.removeAll(keepingCapacity: true)
                    try scanner.string(into: &written)
                } else {
                    try scanner.string(into: &arena)
                }
                try scanner.expect(UInt8(ascii: ":"))
                let id = try scanner.id()
                if id >= ranges.count {
                    // Ids mostly count up; a single huge one must not make room for all below it many times over.
                    ranges.append(contentsOf: repeatElement(nil, count: id + 1 - ranges.count))
                }
                if raw {
                    if written.withUnsafeBufferPointer({ ByteAlphabet.decode($0, into: &arena) }) {
                        ranges[id] = start..<arena.count
                        unreachable[Int32(id)] = nil
                    } else {
                        unreachable[Int32(id)] = written
                    }
                } else {
                    let isValid = arena.withUnsafeBufferPointer { UTF8Text.isValid(UnsafeBufferPointer(rebasing: $0[start...])) }
                    if !isValid { throw scanner.fail("a piece is not valid UTF-8") }
                    ranges[id] = start..<arena.count
                }
                if scanner.take(UInt8(ascii: ",")) { continue }
                try scanner.expect(UInt8(ascii: "}"))
                break
            }
        }
        guard arena.count <= TokenizerLimits.pieceBytes else { throw scanner.fail("the pieces are larger than any vocabulary") }
        pieces = PieceTable(arena: arena, ranges: ranges)
    }

    private mutating func bpe() throws(TokenizerError) -> BPEModel {
        var options = BPEModel.Options()
        let unknown = try text("unk_token")
        options.fusesUnknown = try flag("fuse_unk")
        options.fallsBackToBytes = try flag("byte_fallback")
        options.ignoresMerges = try flag("ignore_merges")
        options.continuingPrefix = try text("continuing_subword_prefix").map { Array($0.utf8) } ?? []
        options.endSuffix = try text("end_of_word_suffix").map { Array($0.utf8) } ?? []
        if let dropout = try value("dropout"), let rate = dropout.double, !(0...1).contains(rate) {
            throw .malformed(part: "model.dropout", reason: "expected a number between 0 and 1, found \(rate)")
        }
        isRaw = wantsRaw && unknown == nil && !options.fallsBackToBytes && options.continuingPrefix.isEmpty && options.endSuffix.isEmpty
        options.isRaw = isRaw
        let kept = tables
        if let kept { (pieces, unreachable) = (kept.pieces, kept.unreachable) } else { try readVocabulary(raw: isRaw) }
        options.unknown = unknown.flatMap { pieces.find(Array($0.utf8)) }
        if let unknown, options.unknown == nil, !unknown.isEmpty, !options.fallsBackToBytes {
            throw .malformed(part: "model.unk_token", reason: "'\(unknown)' is not in the vocabulary")
        }
        var joinedBytes = kept?.joinedBytes ?? []
        let merges = if let kept { kept.merges } else { try readMerges(prefix: options.continuingPrefix.count, joinedBytes: &joinedBytes) }
        tables = VocabularyTables(pieces: pieces, merges: merges, joinedBytes: joinedBytes, unreachable: unreachable)
        let canCut = !isRaw && !options.ignoresMerges && options.continuingPrefix.isEmpty && options.endSuffix.isEmpty
            && pieces.find(WordCuts.marker) != nil
        return BPEModel(
            pieces: pieces, joining: .merges(merges), options: options, cuts: canCut ? WordCuts(joinedBytes: joinedBytes) : nil)
    }

    /// `"a b"` or `["a", "b"]`, best first.
    private func readMerges(prefix: Int, joinedBytes: inout Set<UInt8>) throws(TokenizerError) -> MergeTable {
        guard let place = places["merges"] else { throw .malformed(part: "model", reason: "there is no 'merges'") }
        var scanner = JSONScanner(bytes, at: place.lowerBound, part: "model.merges")
        // A merge takes at least five bytes of text.
        let table = MergeTable(capacity: min(place.count / 5, max(pieces.count * 4, 1024)) + 16)
        var builder = MergeBuilder(table: table, pieces: pieces, isRaw: isRaw, prefix: prefix, mostMerges: table.room)
        try scanner.expect(UInt8(ascii: "["))
        if scanner.take(UInt8(ascii: "]")) { return table }
        var text: [UInt8] = []
        while true {
            text.removeAll(keepingCapacity: true)
            if scanner.peek() == UInt8(ascii: "[") {
                try scanner.expect(UInt8(ascii: "["))
                try scanner.string(into: &text)
                let split = text.count
                try scanner.expect(UInt8(ascii: ","))
                try scanner.string(into: &text)
                try scanner.expect(UInt8(ascii: "]"))
                try builder.add(text, split: split, gap: 0)
            } else {
                try scanner.string(into: &text)
                if !text.starts(with: "#version".utf8) {
                    guard let space = text.firstIndex(of: 0x20), !text[(space + 1)...].contains(0x20) else {
                        throw scanner.fail("merge \(builder.rank) is not two pieces with a space between")
                    }
                    try builder.add(text, split: space, gap: 1)
                }
            }
            if scanner.take(UInt8(ascii: ",")) { continue }
            try scanner.expect(UInt8(ascii: "]"))
            break
        }
        joinedBytes = builder.joinedBytes
        return builder.table
    }

    private mutating func unigram() throws(TokenizerError) -> UnigramModel {
        guard let place = places["vocab"] else { throw .malformed(part: "model", reason: "there is no 'vocab'") }
        var scanner = JSONScanner(bytes, at: place.lowerBound, part: "model.vocab")
        var arena: [UInt8] = [], ranges: [Range<Int>?] = [], scores: [Double] = []
        try scanner.expect(UInt8(ascii: "["))
        if !scanner.take(UInt8(ascii: "]")) {
            while true {
                try scanner.expect(UInt8(ascii: "["))
                let start = arena.count
                try scanner.string(into: &arena)
                ranges.append(start..<arena.count)
                try scanner.expect(UInt8(ascii: ","))
                let number = try scanner.value()
                guard let score = Double(String(decoding: bytes[number], as: UTF8.self)), score.isFinite else {
                    throw scanner.fail("the score of piece \(scores.count) is not a number")
                }
                scores.append(score)
                try scanner.expect(UInt8(ascii: "]"))
                if scanner.take(UInt8(ascii: ",")) { continue }
                try scanner.expect(UInt8(ascii: "]"))
                break
            }
        }
        guard arena.count < 1 << 24 else { throw scanner.fail("the pieces are larger than any vocabulary") }
        guard arena.withUnsafeBufferPointer({ UTF8Text.isValid($0) }) else { throw scanner.fail("a piece is not valid UTF-8") }
        pieces = PieceTable(arena: arena, ranges: ranges)
        var unknown: Int32?
        if let value = try value("unk_id") {
            guard let id = value.int, id >= 0, id < scores.count else {
                throw .malformed(part: "model.unk_id", reason: "expected an id below \(scores.count), found \(value.text)")
            }
            unknown = Int32(id)
        }
        return UnigramModel(
            pieces: pieces, scores: scores, unknown: unknown, lowest: scores.min() ?? 0, fallsBackToBytes: try flag("byte_fallback"))
    }

    private mutating func wordPiece() throws(TokenizerError) -> WordPieceModel {
        try readVocabulary(raw: false)
        let prefix = try text("continuing_subword_prefix").map { Array($0.utf8) } ?? Array("##".utf8)
        let most = try value("max_input_chars_per_word")?.int ?? 100
        let unknown = try text("unk_token") ?? "[UNK]"
        return WordPieceModel(pieces: pieces, prefix: prefix, unknown: pieces.find(Array(unknown.utf8)), mostCharacters: most)
    }
}

extension WordPieceModel {
    init(pieces: PieceTable, prefix: [UInt8], unknown: Int32?, mostCharacters: Int) {
        var starts: [(key: UnsafeBufferPointer<UInt8>, value: Int32)] = [], continuations = starts
        for id in 0..<pieces.count where pieces.contains(id) {
            let piece = pieces[id]
            starts.append((piece, Int32(truncatingIfNeeded: id)))
            if piece.starts(with: prefix) {
                continuations.append((UnsafeBufferPointer(rebasing: piece[prefix.count...]), Int32(truncatingIfNeeded: id)))
            }
        }
        self.init(starts: ByteTrie(starts), continuations: ByteTrie(continuations), unknown: unknown, mostCharacters: mostCharacters)
    }
}
