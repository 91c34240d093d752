/// Fills a merge table from pairs of pieces, rank by rank.
struct MergeBuilder {
    private(set) var table: MergeTable
    private let pieces: PieceTable
    private let isRaw: Bool
    /// Bytes of the second piece that its joined form lacks (`continuing_subword_prefix`).
    private let prefix: Int
    private(set) var rank = 0
    /// Bytes that some joined piece has before a `▁`; see `WordCuts`.
    private(set) var joinedBytes: Set<UInt8> = []
    private var joined: [UInt8] = []
    /// Mostly, pieces have been numbered in the order in which they were joined.
    private var expected: Int32 = -1
    private var mostMerges: Int

    init(table: MergeTable, pieces: PieceTable, isRaw: Bool, prefix: Int, mostMerges: Int) {
        self.table = table
        self.pieces = pieces
        self.isRaw = isRaw
        self.prefix = prefix
        self.mostMerges = mostMerges
    }

    /// Adds the pieces `text[..<split]` and `text[(split + gap)...]`.
    /// - Parameter skipsUnknown: whether merges of pieces that are not in the vocabulary are passed over.
    mutating func add(_ text: [UInt8], split: Int, gap: Int, skipsUnknown: Bool = false) throws(TokenizerError) {
        joined.removeAll(keepingCapacity: true)
        var middle = split
        text.withUnsafeBufferPointer { buffer in
            let first = UnsafeBufferPointer(rebasing: buffer[..<split]), second = UnsafeBufferPointer(rebasing: buffer[(split + gap)...])
            if isRaw {
                if !ByteAlphabet.decode(first, into: &joined) { joined.append(contentsOf: first) }
                middle = joined.count
                if !ByteAlphabet.decode(second, into: &joined) { joined.append(contentsOf: second) }
            } else {
                joined.append(contentsOf: first)
                joined.append(contentsOf: second)
            }
        }
        let found = joined.withUnsafeBufferPointer { buffer -> (left: Int32, right: Int32, id: Int32) in
            guard let base = buffer.baseAddress else { return (-1, -1, -1) }
            let left = pieces.find(base, middle), right = pieces.find(base + middle, buffer.count - middle)
            if prefix > 0 { return (left, right, -1) }
            return (left, right, pieces.find(base, buffer.count, expected: expected))
        }
        var id = found.id
        if prefix > 0, joined.count - middle >= prefix {
            id = pieces.find(Array(joined[..<middle] + joined[(middle + prefix)...])) ?? -1
        }
        guard found.left >= 0, found.right >= 0, id >= 0 else {
            if skipsUnknown {
                rank += 1
                return
            }
            throw .malformed(part: "model.merges", reason: "merge \(rank) ('\(String(decoding: text.prefix(80), as: UTF8.self))') has a piece that is not in the vocabulary")
        }
        expected = id + 1
        if !isRaw { joined.withUnsafeBufferPointer { WordCuts.collect($0, into: &joinedBytes) } }
        insert(found.left, found.right, id)
    }

    private mutating func insert(_ left: Int32, _ right: Int32, _ id: Int32) {
        if rank >= mostMerges {
            // Far more merges than pieces suggest: a larger table takes over.
            mostMerges *= 2
            table = table.grown(for: mostMerges)
        }
        table.insert(left, right, rank: UInt32(truncatingIfNeeded: rank), id: id)
        rank += 1
    }
}

extension PieceTable {
    /// As `find`, after a look at one likely id.
    @inline(__always) func find(_ piece: UnsafePointer<UInt8>, _ size: Int, expected: Int32) -> Int32 {
        if expected >= 0, Int(expected) < count, contains(Int(expected)), self.size(of: Int(expected)) == size,
            UnsafeBufferPointer(start: piece, count: size).elementsEqual(self[Int(expected)]) {
            return expected
        }
        return find(piece, size)
    }
}
