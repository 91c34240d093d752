#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The pieces of a vocabulary: id to bytes and bytes to id.
///
/// Pieces lie end to end in one block. Ids may have holes, which are empty. The hash table is open-addressed; a slot holds the upper
/// half of the hash and the id.
final class PieceTable: @unchecked Sendable {
    /// Largest id plus one.
    let count: Int
    /// Longest piece in bytes.
    let longest: Int
    /// Number of distinct pieces that can be looked up.
    let distinct: Int
    let bytes: Storage<UInt8>
    let starts: Storage<UInt32>
    let present: Storage<Bool>
    let slots: Storage<UInt64>
    /// Of the hash. A table that was kept has the one it was made with.
    let seed: UInt64
    private let mask: Int
    private static let free = UInt64.max

    /// - Parameters:
    ///   - arena: all pieces end to end, in any order.
    ///   - ranges: place of each id's piece in `arena`; nil for ids that have none.
    ///   - keepsFirst: which of several ids of one piece the look-up gives.
    init(arena: [UInt8], ranges: [Range<Int>?], keepsFirst: Bool = false) {
        let seed = ByteHash.seed
        let bytes = Storage<UInt8>(repeating: 0, count: ranges.reduce(0) { $0 + ($1?.count ?? 0) })
        let starts = Storage<UInt32>(repeating: 0, count: ranges.count + 1)
        let present = Storage<Bool>(repeating: false, count: ranges.count)
        let capacity = powerOfTwo(atLeast: max(ranges.count * 2, 16))
        let slots = Storage<UInt64>(repeating: Self.free, count: capacity)
        let mask = capacity - 1
        var position = 0, longest = 0, distinct = 0
        arena.withUnsafeBufferPointer { source in
            for (id, range) in ranges.enumerated() {
                starts.base[id] = UInt32(truncatingIfNeeded: position)
                guard let range else { continue }
                present.base[id] = true
                if let start = source.baseAddress, !range.isEmpty {
                    (bytes.base + position).update(from: start + range.lowerBound, count: range.count)
                }
                let pointer = bytes.base + position
                position += range.count
                longest = max(longest, range.count)
                let hash = ByteHash.hash(pointer, range.count, seed: seed)
                var slot = Int(truncatingIfNeeded: hash) & mask
                while true {
                    let entry = slots.base[slot]
                    if entry == Self.free {
                        distinct += 1
                        slots.base[slot] = hash & 0xFFFF_FFFF_0000_0000 | UInt64(id)
                        break
                    }
                    if (entry ^ hash) >> 32 == 0 {
                        let other = Int(entry & 0xFFFF_FFFF), start = Int(starts.base[other])
                        let size = Int(starts.base[other + 1]) - start
                        if size == range.count, memcmp(bytes.base + start, pointer, size) == 0 {
                            if !keepsFirst { slots.base[slot] = hash & 0xFFFF_FFFF_0000_0000 | UInt64(id) }
                            break
                        }
                    }
                    slot = (slot &+ 1) & mask
                }
                starts.base[id + 1] = UInt32(truncatingIfNeeded: position)
            }
        }
        starts.base[ranges.count] = UInt32(truncatingIfNeeded: position)
        count = ranges.count
        self.bytes = bytes
        self.starts = starts
        self.present = present
        self.slots = slots
        self.seed = seed
        self.mask = mask
        self.longest = longest
        self.distinct = distinct
    }

    /// A table from its parts.
    /// - Returns: nil where they do not fit together: every look-up would have to be checked.
    init?(bytes: Storage<UInt8>, starts: Storage<UInt32>, present: Storage<Bool>, slots: Storage<UInt64>, seed: UInt64, distinct: Int) {
        count = present.count
        guard starts.count == count + 1, starts[0] == 0, Int(starts[count]) == bytes.count, slots.count > 0, slots.count & (slots.count - 1) == 0,
            0...count ~= distinct
        else { return nil }
        var longest = 0
        for id in 0..<count {
            guard starts[id] <= starts[id + 1] else { return nil }
            longest = max(longest, Int(starts[id + 1] - starts[id]))
        }
        var freeCount = 0
        for slot in slots.buffer {
            if slot == Self.free { freeCount += 1 } else if slot & 0xFFFF_FFFF >= UInt64(count) { return nil }
        }
        // A search ends at a free slot.
        guard freeCount > 0 else { return nil }
        (self.bytes, self.starts, self.present, self.slots) = (bytes, starts, present, slots)
        self.seed = seed
        self.distinct = distinct
        self.longest = longest
        mask = slots.count - 1
    }

    /// Id of the piece, or -1.
    @inline(__always) func find(_ piece: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
        if size > longest { return -1 }
        let hash = ByteHash.hash(piece, size, seed: seed)
        var slot = Int(truncatingIfNeeded: hash) & mask
        while true {
            let entry = slots.base[slot]
            if entry == Self.free { return -1 }
            if (entry ^ hash) >> 32 == 0 {
                let id = Int(entry & 0xFFFF_FFFF), start = Int(starts.base[id])
                if Int(starts.base[id + 1]) - start == size, memcmp(bytes.base + start, piece, size) == 0 {
                    return Int32(truncatingIfNeeded: id)
                }
            }
            slot = (slot &+ 1) & mask
        }
    }

    func find(_ piece: some Collection<UInt8>) -> Int32? {
        let copy = Array(piece)
        // An empty array has no address of its own; the hash reads nothing then.
        let id = copy.isEmpty ? find(bytes.base, 0) : copy.withUnsafeBufferPointer { find($0.baseAddress ?? UnsafePointer(bytes.base), $0.count) }
        return id < 0 ? nil : id
    }

    @inline(__always) func size(of id: Int) -> Int { Int(starts[id + 1] &- starts[id]) }
    @inline(__always) func pointer(to id: Int) -> UnsafePointer<UInt8> { UnsafePointer(bytes.base + Int(starts[id])) }

    func contains(_ id: Int) -> Bool { id >= 0 && id < count && present[id] }

    /// The piece's bytes; valid as long as the table lives.
    @inline(__always) subscript(id: Int) -> UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: pointer(to: id), count: size(of: id)) }
}
