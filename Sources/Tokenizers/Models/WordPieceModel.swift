/// BERT's model: the longest piece that begins the word, then the longest that continues it, or the unknown token for all of it.
struct WordPieceModel: Sendable {
    /// Pieces that begin a word, and pieces that continue one, without their prefix.
    let starts: ByteTrie, continuations: ByteTrie
    let unknown: Int32?
    let mostCharacters: Int

    func tokenize(_ word: UnsafeBufferPointer<UInt8>, into tokens: inout [WordToken]) throws(TokenizerError) {
        guard let base = word.baseAddress else { return }
        let before = tokens.count
        var index = 0
        var isBad = word.count > mostCharacters && word.reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) } > mostCharacters
        while !isBad, index < word.count {
            let match = (index == 0 ? starts : continuations).longestMatch(base + index, word.count - index)
            if match.length == 0 {
                isBad = true
            } else {
                tokens.append(WordToken(id: match.id, start: Int32(index), end: Int32(index + match.length)))
                index += match.length
            }
        }
        if isBad {
            guard let unknown else { throw .unknownTokenMissing(piece: String(decoding: word.prefix(64), as: UTF8.self)) }
            tokens.removeLast(tokens.count - before)
            tokens.append(WordToken(id: unknown, start: 0, end: Int32(truncatingIfNeeded: word.count)))
        }
    }
}
