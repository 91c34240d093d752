/// A trie over bytes in which every step is one look-up in one hash table.
///
/// A slot holds node, byte and child; values lie by node. Building costs one insertion a byte, so a vocabulary of 250,000 pieces takes
/// tens of milliseconds, and a step of a search one cache line.
final class ByteTrie: Sendable {
    private let slots: Storage<UInt64>
    private let mask: Int
    private let values: Storage<Int32>
    /// Children of the root, by byte.
    private let roots: Storage<Int32>
    private static let free = UInt64.max

    /// - Parameter keys: bytes and value of each key; an empty key is left out, a repeated one takes its last value.
    init(_ keys: [(key: UnsafeBufferPointer<UInt8>, value: Int32)]) {
        let most = keys.reduce(1) { $0 + $1.key.count }
        let capacity = powerOfTwo(atLeast: max(most * 3 / 2, 16))
        slots = Storage(repeating: Self.free, count: capacity)
        mask = capacity - 1
        roots = Storage(repeating: -1, count: 256)
        var values: [Int32] = [-1]
        values.reserveCapacity(most)
        for (key, value) in keys where !key.isEmpty {
            var node = 0
            for (depth, byte) in key.enumerated() {
                if depth == 0 {
                    if roots.base[Int(byte)] < 0 {
                        roots.base[Int(byte)] = Int32(values.count)
                        values.append(-1)
                    }
                    node = Int(roots.base[Int(byte)])
                    continue
                }
                // Low 40 bits: parent and byte; above them the child.
                let edge = UInt64(node) << 8 | UInt64(byte)
                var slot = Int(truncatingIfNeeded: ByteHash.hash(pair: edge)) & mask
                while slots.base[slot] != Self.free, slots.base[slot] & 0xFFFF_FFFF != edge { slot = (slot + 1) & mask }
                if slots.base[slot] == Self.free {
                    slots.base[slot] = UInt64(values.count) << 32 | edge
                    values.append(-1)
                }
                node = Int(slots.base[slot] >> 32)
            }
            values[node] = value
        }
        self.values = Storage(values)
    }

    /// First step of a walk, or -1.
    @inline(__always) func root(_ byte: UInt8) -> Int32 { roots[Int(byte)] }

    /// Next step of a walk, or -1.
    @inline(__always) func child(_ node: Int32, _ byte: UInt8) -> Int32 {
        let edge = UInt64(truncatingIfNeeded: node) << 8 | UInt64(byte)
        var slot = Int(truncatingIfNeeded: ByteHash.hash(pair: edge)) & mask
        while true {
            let entry = slots.base[slot]
            if entry & 0xFFFF_FFFF == edge, entry != Self.free { return Int32(truncatingIfNeeded: entry >> 32) }
            if entry == Self.free { return -1 }
            slot = (slot &+ 1) & mask
        }
    }

    /// Value of the key that ends at `node`, or -1.
    @inline(__always) func value(_ node: Int32) -> Int32 { values[Int(node)] }

    /// The longest key that `bytes` begins with; length 0 where there is none.
    @inline(__always) func longestMatch(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> (length: Int, id: Int32) {
        guard count > 0 else { return (0, -1) }
        var node = root(bytes[0]), index = 1, best = (length: 0, id: Int32(-1))
        while node >= 0 {
            let id = value(node)
            if id >= 0 { best = (index, id) }
            if index == count { break }
            node = child(node, bytes[index])
            index &+= 1
        }
        return best
    }
}
