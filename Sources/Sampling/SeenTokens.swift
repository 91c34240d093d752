/// The tokens of one sequence that penalties look at, counted as they come: a small open-addressed table from id to count, so that a new
/// token costs O(1) and a step costs the number of distinct tokens.
package struct SeenTokens: Sendable {
    package struct Entry: Sendable {
        package var token: Int32
        /// Times in the output; 0 if only in the prompt.
        package var outputCount: Int32
    }

    package private(set) var entries: [Entry] = []
    /// Index into `entries` or -1; power of two long, at most half full.
    private var table: [Int32] = []

    package init() {}

    /// A token of the prompt.
    package mutating func notePrompt(_ token: Int32) { _ = place(of: token) }

    /// A token of the output.
    package mutating func noteOutput(_ token: Int32) {
        let index = place(of: token)
        entries[index].outputCount &+= 1
    }

    private mutating func place(of token: Int32) -> Int {
        if entries.count * 2 >= table.count { grow() }
        let mask = table.count - 1
        var slot = Self.hash(token) & mask
        while table[slot] >= 0 {
            if entries[Int(table[slot])].token == token { return Int(table[slot]) }
            slot = (slot + 1) & mask
        }
        table[slot] = Int32(entries.count)
        entries.append(Entry(token: token, outputCount: 0))
        return entries.count - 1
    }

    private mutating func grow() {
        let size = max(64, table.count * 2)
        table = Array(repeating: -1, count: size)
        for (index, entry) in entries.enumerated() {
            var slot = Self.hash(entry.token) & (size - 1)
            while table[slot] >= 0 { slot = (slot + 1) & (size - 1) }
            table[slot] = Int32(index)
        }
    }

    @inline(__always)
    private static func hash(_ token: Int32) -> Int {
        Int(truncatingIfNeeded: (UInt64(UInt32(bitPattern: token)) &* 0x9E37_79B9_7F4A_7C15) >> 32)
    }
}
