/// Which two tokens may become one, at what rank: an open-addressed table keyed by the pair.
final class MergeTable: Sendable {
    struct Slot: BitwiseCopyable {
        var pair: UInt64
        var rank: UInt32
        var id: Int32
    }

    let slots: Storage<Slot>
    private let mask: Int
    private static let free = UInt64.max

    init(capacity count: Int) {
        let capacity = powerOfTwo(atLeast: max(count * 3 / 2, 16))
        slots = Storage(repeating: Slot(pair: Self.free, rank: .max, id: -1), count: capacity)
        mask = capacity - 1
    }

    /// A table from its slots.
    /// - Parameter pieceCount: ids are below it.
    /// - Returns: nil where they are no table.
    init?(slots: Storage<Slot>, pieceCount: Int) {
        guard slots.count > 0, slots.count & (slots.count - 1) == 0 else { return nil }
        var freeCount = 0
        for slot in slots.buffer {
            if slot.pair == Self.free { freeCount += 1 } else if slot.id < 0 || slot.id >= pieceCount { return nil }
        }
        // A search ends at a free slot.
        guard freeCount > 0 else { return nil }
        self.slots = slots
        mask = slots.count - 1
    }

    @inline(__always) static func pair(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    @inline(__always) private func place(of pair: UInt64) -> Int {
        var slot = Int(truncatingIfNeeded: ByteHash.hash(pair: pair)) & mask
        while true {
            let found = slots.base[slot].pair
            if found == pair || found == Self.free { return slot }
            slot = (slot &+ 1) & mask
        }
    }

    /// Only while the table is built. A repeated pair takes its last rank, as in the reference.
    func insert(_ left: Int32, _ right: Int32, rank: UInt32, id: Int32) {
        let pair = Self.pair(left, right)
        slots.base[place(of: pair)] = Slot(pair: pair, rank: rank, id: id)
    }

    /// Pairs that fit before look-ups slow down.
    var room: Int { (mask + 1) * 3 / 4 }

    /// A larger table with the same merges.
    func grown(for count: Int) -> MergeTable {
        let larger = MergeTable(capacity: count)
        for slot in slots.buffer where slot.pair != Self.free {
            larger.slots.base[larger.place(of: slot.pair)] = slot
        }
        return larger
    }

    /// Rank and id of the joined token; id -1 where the two do not join.
    @inline(__always) func find(_ left: Int32, _ right: Int32) -> (rank: UInt32, id: Int32) {
        let slot = slots.base[place(of: Self.pair(left, right))]
        return (slot.rank, slot.id)
    }
}
