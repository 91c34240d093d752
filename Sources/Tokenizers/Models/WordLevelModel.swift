/// Whole words only.
struct WordLevelModel: Sendable {
    let pieces: PieceTable
    let unknown: Int32?

    func tokenize(_ word: UnsafeBufferPointer<UInt8>, into tokens: inout [WordToken]) throws(TokenizerError) {
        guard let base = word.baseAddress else { return }
        var id = pieces.find(base, word.count)
        if id < 0 {
            guard let unknown else { throw .unknownTokenMissing(piece: String(decoding: word.prefix(64), as: UTF8.self)) }
            id = unknown
        }
        tokens.append(WordToken(id: id, start: 0, end: Int32(truncatingIfNeeded: word.count)))
    }
}

/// The longest piece at each place (RWKV's "world" vocabularies).
struct GreedyModel: Sendable {
    let trie: ByteTrie
    let unknown: Int32?

    func tokenize(_ word: UnsafeBufferPointer<UInt8>, into tokens: inout [WordToken]) throws(TokenizerError) {
        guard let base = word.baseAddress else { return }
        var index = 0
        while index < word.count {
            let match = trie.longestMatch(base + index, word.count - index)
            if match.length > 0 {
                tokens.append(WordToken(id: match.id, start: Int32(index), end: Int32(index + match.length)))
                index += match.length
            } else {
                if let unknown { tokens.append(WordToken(id: unknown, start: Int32(index), end: Int32(index + 1))) }
                index += 1
            }
        }
    }
}
