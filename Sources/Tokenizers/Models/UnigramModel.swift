/// The best path to a place of a word: from where, by which token, at what score.
struct UnigramPath: BitwiseCopyable {
    var score: Double = 0
    var start: Int32 = -1
    var id: Int32 = -1
}

/// SentencePiece's unigram model: of all ways to spell a word by pieces, the one with the highest sum of scores.
final class UnigramModel: Sendable {
    private let pieces: PieceTable
    private let trie: ByteTrie
    private let scores: Storage<Double>
    private let unknown: Int32?
    private let unknownScore: Double
    /// Id of each `<0xNN>`, where bytes are fallen back to and all that are needed exist.
    private let byteIDs: Storage<Int32>?
    /// Whether sums are rounded to single precision, as SentencePiece itself has them; it decides between equal spellings.
    private let isSingle: Bool

    /// - Parameters:
    ///   - usable: ids that a path may take; nil for all.
    ///   - scores: by id.
    init(pieces: PieceTable, scores: [Double], usable: [Bool]? = nil, unknown: Int32?, lowest: Double, fallsBackToBytes: Bool, isSingle: Bool = false) {
        self.isSingle = isSingle
        self.pieces = pieces
        self.scores = Storage(scores)
        self.unknown = unknown
        unknownScore = lowest - 10
        var keys: [(key: UnsafeBufferPointer<UInt8>, value: Int32)] = []
        keys.reserveCapacity(pieces.count)
        for id in 0..<pieces.count where pieces.contains(id) && (usable?[id] ?? true) { keys.append((pieces[id], Int32(truncatingIfNeeded: id))) }
        trie = ByteTrie(keys)
        byteIDs = fallsBackToBytes ? Storage((0..<256).map { pieces.find(BPEModel.byteToken(UInt8($0))) ?? -1 }) : nil
    }

    func tokenize(_ word: UnsafeBufferPointer<UInt8>, _ scratch: ModelScratch, into tokens: inout [WordToken]) throws(TokenizerError) {
        guard let base = word.baseAddress else { return }
        let count = word.count
        scratch.paths.removeAll(keepingCapacity: true)
        scratch.paths.append(contentsOf: repeatElement(UnigramPath(), count: count + 1))
        var misses = false
        scratch.paths.withUnsafeMutableBufferPointer { paths in
            var start = 0
            while start < count {
                let soFar = paths[start].score
                let width = min(UTF8Text.width(base[start]), count - start)
                var single = false
                var node = trie.root(base[start]), end = start &+ 1
                while node >= 0 {
                    let id = trie.value(node)
                    if id >= 0 {
                        let score = sum(soFar, scores[Int(id)])
                        if paths[end].start < 0 || score > paths[end].score {
                            paths[end] = UnigramPath(score: score, start: Int32(truncatingIfNeeded: start), id: id)
                        }
                        if end &- start == width { single = true }
                    }
                    if end == count { break }
                    node = trie.child(node, base[end])
                    end &+= 1
                }
                if !single {
                    let score = sum(soFar, unknownScore), target = start &+ width
                    if paths[target].start < 0 || score > paths[target].score {
                        paths[target] = UnigramPath(score: score, start: Int32(truncatingIfNeeded: start), id: unknown ?? -1)
                        misses = misses || unknown == nil
                    }
                }
                start &+= width
            }
        }
        if misses { throw .unknownTokenMissing(piece: String(decoding: word.prefix(64), as: UTF8.self)) }

        // Back from the end; unknown neighbours become one.
        let before = tokens.count
        var end = count
        while end > 0 {
            let path = scratch.paths[end]
            let start = Int(path.start)
            guard start >= 0, start < end else { break }
            if path.id == unknown, tokens.count > before, tokens[tokens.count - 1].id == path.id {
                tokens[tokens.count - 1].start = path.start
            } else {
                tokens.append(WordToken(id: path.id, start: path.start, end: Int32(truncatingIfNeeded: end)))
            }
            end = start
        }
        tokens[before...].reverse()
        if let unknown { resolveUnknown(base, unknown, &tokens, from: before) }
    }

    @inline(__always) private func sum(_ a: Double, _ b: Double) -> Double { isSingle ? Double(Float(a) + Float(b)) : a + b }

    /// A fused unknown may spell a piece after all, or fall back to bytes, each of which stands for all of it.
    private func resolveUnknown(_ base: UnsafePointer<UInt8>, _ unknown: Int32, _ tokens: inout [WordToken], from before: Int) {
        var index = before
        while index < tokens.count {
            defer { index += 1 }
            guard tokens[index].id == unknown else { continue }
            let token = tokens[index]
            let text = UnsafeBufferPointer(start: base + Int(token.start), count: Int(token.end - token.start))
            if let start = text.baseAddress, case let id = pieces.find(start, text.count), id >= 0 {
                tokens[index].id = id
            } else if let byteIDs, !text.contains(where: { byteIDs[Int($0)] < 0 }) {
                tokens.replaceSubrange(index...index, with: text.map { WordToken(id: byteIDs[Int($0)], start: token.start, end: token.end) })
                index += text.count - 1
            }
        }
    }
}
