/// Byte-pair encoding: a word starts as its characters (or bytes), and the neighbours of the lowest rank join until none may.
///
/// Joined tokens come from a merge table (`tokenizer.json`) or, as in SentencePiece, are whatever neighbours together spell a piece,
/// the best score first.
final class BPEModel: Sendable {
    enum Joining: Sendable {
        case merges(MergeTable)
        /// Rank of each piece by id: equal scores share a rank. `.max` for pieces that may not be made.
        case pieces(Storage<UInt32>)
    }

    struct Options: Sendable {
        /// Words are raw bytes and so are pieces: GPT-2's alphabet is undone in the vocabulary instead of applied to the text.
        var isRaw = false
        var unknown: Int32?
        var fusesUnknown = false
        var fallsBackToBytes = false
        var ignoresMerges = false
        /// A word of newlines alone that is a piece is taken whole (Gemma 4 in GGUF files, whose merges cannot hold newlines).
        var takesWholeNewlines = false
        var continuingPrefix: [UInt8] = []
        var endSuffix: [UInt8] = []
    }

    let pieces: PieceTable
    let joining: Joining
    let options: Options
    let cuts: WordCuts?
    /// Raw: id of each byte. Else: id of each `<0xNN>` where bytes are fallen back to. -1 where there is none.
    let byteIDs: Storage<Int32>
    /// Id of each one-character piece below U+10000, for vocabularies of characters.
    private let characterIDs: Storage<Int32>?

    init(pieces: PieceTable, joining: Joining, options: Options, cuts: WordCuts?) {
        self.pieces = pieces
        self.joining = joining
        self.options = options
        self.cuts = cuts
        byteIDs = Storage(repeating: -1, count: 256)
        for byte in 0..<256 {
            byteIDs.base[byte] = pieces.find(options.isRaw ? [UInt8(byte)] : Self.byteToken(UInt8(byte))) ?? -1
        }
        if options.isRaw {
            characterIDs = nil
        } else {
            let table = Storage<Int32>(repeating: -1, count: 0x10000)
            for id in 0..<pieces.count where pieces.contains(id) {
                let piece = pieces[id]
                guard let base = piece.baseAddress, 1...3 ~= piece.count, UTF8Text.inspect(base, piece.count).size == piece.count else { continue }
                table.base[Int(UTF8Text.scalar(base, 0))] = pieces.find(base, piece.count)
            }
            characterIDs = table
        }
    }

    /// `<0xNN>`
    static func byteToken(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return Array("<0x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)], UInt8(ascii: ">")]
    }

    func tokenize(_ word: UnsafeBufferPointer<UInt8>, _ scratch: ModelScratch, into tokens: inout [WordToken]) throws(TokenizerError) {
        guard let base = word.baseAddress else { return }
        if options.ignoresMerges || options.takesWholeNewlines && word.allSatisfy({ $0 == 0x0A }) {
            let id = pieces.find(base, word.count)
            if id >= 0 {
                tokens.append(WordToken(id: id, start: 0, end: Int32(truncatingIfNeeded: word.count)))
                return
            }
        }
        scratch.symbols.removeAll(keepingCapacity: true)
        if options.isRaw {
            for index in 0..<word.count {
                let id = byteIDs[Int(base[index])]
                if id >= 0 { scratch.symbols.append(BPESymbol(id: id, start: Int32(truncatingIfNeeded: index), size: 1)) }
            }
        } else {
            characters(base, word.count, &scratch.symbols)
        }
        let merger = BPEMerger(joining: joining, pieces: pieces, word: base)
        if scratch.symbols.count <= BPEMerger.fewSymbols {
            merger.mergeFew(&scratch.symbols)
        } else {
            merger.mergeMany(&scratch.symbols, &scratch.candidates)
        }
        // Sizes are added up, as the reference does it: characters that no token stands for move those after them to the left.
        var start: Int32 = 0
        for symbol in scratch.symbols where symbol.size > 0 {
            tokens.append(WordToken(id: symbol.id, start: start, end: start &+ symbol.size))
            start &+= symbol.size
        }
    }

    /// One symbol for each character, bytes or the unknown token where the vocabulary lacks it.
    private func characters(_ base: UnsafePointer<UInt8>, _ count: Int, _ symbols: inout [BPESymbol]) {
        let plain = options.continuingPrefix.isEmpty && options.endSuffix.isEmpty
        var unknown: BPESymbol?
        var index = 0
        while index < count {
            let size = min(UTF8Text.width(base[index]), count - index)
            var id: Int32
            var decorated: [UInt8] = []
            if plain {
                id = size < 4 ? characterIDs?[Int(UTF8Text.scalar(base, index))] ?? -1 : pieces.find(base + index, size)
            } else {
                if index > 0 { decorated = options.continuingPrefix }
                decorated.append(contentsOf: UnsafeBufferPointer(start: base + index, count: size))
                if index + size == count { decorated.append(contentsOf: options.endSuffix) }
                id = pieces.find(decorated) ?? -1
            }
            let start = Int32(truncatingIfNeeded: index), length = Int32(truncatingIfNeeded: size)
            if id >= 0 {
                if let pending = unknown { symbols.append(pending) }
                unknown = nil
                symbols.append(BPESymbol(id: id, start: start, size: length))
            } else if options.fallsBackToBytes, byteFallback(base + index, size, decorated, start, &symbols) {
                // As in the reference, an unknown token that waits to be fused goes on waiting.
            } else if let unknownID = options.unknown {
                if let pending = unknown, options.fusesUnknown {
                    unknown = BPESymbol(id: unknownID, start: pending.start, size: pending.size + length)
                } else {
                    if let pending = unknown { symbols.append(pending) }
                    unknown = BPESymbol(id: unknownID, start: start, size: length)
                }
            }
            index += size
        }
        if let pending = unknown { symbols.append(pending) }
    }

    private func byteFallback(
        _ character: UnsafePointer<UInt8>, _ size: Int, _ decorated: [UInt8], _ start: Int32, _ symbols: inout [BPESymbol]
    ) -> Bool {
        let bytes = decorated.isEmpty ? Array(UnsafeBufferPointer(start: character, count: size)) : decorated
        if bytes.contains(where: { byteIDs[Int($0)] < 0 }) { return false }
        for (offset, byte) in bytes.enumerated() {
            symbols.append(BPESymbol(id: byteIDs[Int(byte)], start: start + Int32(truncatingIfNeeded: offset), size: 1))
        }
        return true
    }
}

/// Where the words of a vocabulary that is not split beforehand can be cut all the same: before a `▁` that follows another character,
/// unless some piece joins the two. Nothing joins across such a place, so the halves encode as the whole does.
struct WordCuts: Sendable {
    /// Last bytes of characters that a piece joins with a following `▁`; taken by byte, which only leaves out some cuts.
    private let joined: [Bool]
    static let marker: [UInt8] = [0xE2, 0x96, 0x81]

    init(joinedBytes: Set<UInt8>) { joined = (0...255).map { joinedBytes.contains(UInt8($0)) } }

    /// Adds the bytes before a `▁` within `piece` to `bytes`.
    static func collect(_ piece: UnsafeBufferPointer<UInt8>, into bytes: inout Set<UInt8>) {
        guard piece.count > 3 else { return }
        for index in 1...(piece.count - 3)
        where piece[index] == 0xE2 && piece[index + 1] == 0x96 && piece[index + 2] == 0x81 {
            // The marker after another marker is no place to cut anyway.
            if index >= 3, piece[index - 1] == 0x81, piece[index - 2] == 0x96, piece[index - 3] == 0xE2 { continue }
            bytes.insert(piece[index - 1])
        }
    }

    /// End of the part of `text` that begins at `start`.
    @inline(__always) func end(_ text: UnsafePointer<UInt8>, from start: Int, to limit: Int) -> Int {
        var index = start &+ 1
        while index &+ 2 < limit {
            if text[index] == 0xE2, text[index &+ 1] == 0x96, text[index &+ 2] == 0x81, !joined[Int(text[index &- 1])],
                !(index >= start &+ 3 && text[index &- 1] == 0x81 && text[index &- 2] == 0x96 && text[index &- 3] == 0xE2) {
                return index
            }
            index &+= 1
        }
        return limit
    }
}
