/// A token that is found in the text before anything else is done to it.
package struct AddedToken: Sendable {
    package var id: Int32
    package var content: String
    /// Only between characters that are not of a word.
    package var singleWord = false
    /// Swallow white space on the left and on the right.
    package var stripsLeft = false, stripsRight = false
    /// Look for the token, itself normalised, in the normalised text.
    package var normalized = false
    /// Left out of decoded text when special tokens are skipped.
    package var special = false

    package init(id: Int32, content: String) {
        self.id = id
        self.content = content
    }
}

/// Finds added tokens: leftmost, and of those the longest.
final class AddedTokenMatcher: Sendable {
    struct Match {
        var token: Int
        /// The token with the white space it swallows.
        var range: Range<Int>
    }

    private let trie: ByteTrie
    /// Bytes that a token can begin with.
    private let leads: Storage<Bool>
    private let tokens: [AddedToken]
    /// The only byte that tokens begin with, if there is one: then the machine's own byte search runs over the text.
    private let onlyLead: UInt8?

    /// - Parameter patterns: what to look for, with the index of its token in `tokens`.
    init?(_ patterns: [(bytes: [UInt8], token: Int)], tokens: [AddedToken]) {
        let patterns = patterns.filter { !$0.bytes.isEmpty }
        if patterns.isEmpty { return nil }
        self.tokens = tokens
        leads = Storage(repeating: false, count: 256)
        for pattern in patterns { leads.base[Int(pattern.bytes[0])] = true }
        let firsts = Set(patterns.map { $0.bytes[0] })
        onlyLead = firsts.count == 1 ? firsts.first : nil
        let arena = Storage(patterns.flatMap(\.bytes))
        var offset = 0
        trie = ByteTrie(patterns.map { pattern in
            defer { offset += pattern.bytes.count }
            return (UnsafeBufferPointer(start: arena.base + offset, count: pattern.bytes.count), Int32(truncatingIfNeeded: pattern.token))
        })
        withExtendedLifetime(arena) {}
    }

    /// - Parameter skips: tokens to be treated as text.
    func matches(in text: UnsafeBufferPointer<UInt8>, skippingSpecial: Bool = false) -> [Match] {
        guard let base = text.baseAddress else { return [] }
        var found: [Match] = [], index = 0, taken = 0
        while index < text.count {
            if let onlyLead {
                while index < text.count, base[index] != onlyLead { index &+= 1 }
                if index == text.count { break }
            } else if !leads[Int(base[index])] {
                index &+= 1
                continue
            }
            let match = trie.longestMatch(base + index, text.count - index)
            if match.length == 0 {
                index += 1
                continue
            }
            var start = index, stop = index + match.length
            index = stop
            let token = tokens[Int(match.id)]
            if skippingSpecial, token.special { continue }
            if token.singleWord {
                let before = start > 0 && ScalarClass.of(UTF8Text.scalar(base, UTF8Text.previous(base, start, from: 0))).has(.word)
                let after = stop < text.count && ScalarClass.of(UTF8Text.scalar(base, stop)).has(.word)
                if before || after { continue }
            }
            if token.stripsLeft {
                while start > taken {
                    let previous = UTF8Text.previous(base, start, from: 0)
                    guard ScalarClass.of(UTF8Text.scalar(base, previous)).has(.whiteSpace) else { break }
                    start = previous
                }
                start = min(max(start, taken), stop)
            }
            if token.stripsRight {
                while stop < text.count, ScalarClass.of(UTF8Text.scalar(base, stop)).has(.whiteSpace) { stop += UTF8Text.width(base[stop]) }
            }
            // A token that the one before it swallowed as white space still counts, in its own place; so does the reference.
            found.append(Match(token: Int(match.id), range: start..<stop))
            taken = stop
        }
        return found
    }
}
