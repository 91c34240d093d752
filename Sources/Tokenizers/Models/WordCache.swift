#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Ids of words met before. Most words of a text are frequent ones, so most of the model's work is spared.
///
/// Two slots may hold a word. Words of up to 16 bytes and three tokens lie in the slot itself; others in two side arrays, which are
/// dropped together with the slots when they grow too large. Bytes are always compared: no two words are ever taken for one.
final class WordCache {
    private struct Slot: BitwiseCopyable {
        /// Words of up to 16 bytes: their first and last eight. Longer ones: hash, and place in `longWords`.
        var low: UInt64 = 0, high: UInt64 = 0
        /// Bytes in the word; 0 marks a free slot.
        var size: UInt16 = 0
        var tokens: UInt16 = 0
        /// The ids, or with more than three of them their place in `manyIDs`.
        var first: Int32 = 0, second: Int32 = 0, third: Int32 = 0
    }

    static let longestWord = 128
    private static let capacity = 1 << 15
    private static let sideLimit = 1 << 20
    private let slots: UnsafeMutablePointer<Slot>
    private var longWords: [UInt8] = []
    private var manyIDs: [Int32] = []
    private let seed = ByteHash.seed

    init() {
        slots = .allocate(capacity: Self.capacity)
        slots.initialize(repeating: Slot(), count: Self.capacity)
    }

    deinit { slots.deallocate() }

    struct Key {
        var low: UInt64, high: UInt64
        var slot: Int
    }

    @inline(__always) func key(_ word: UnsafePointer<UInt8>, _ size: Int) -> Key {
        let raw = UnsafeRawPointer(word)
        if size > 16 {
            let hash = ByteHash.hash(word, size, seed: seed)
            return Key(low: hash, high: 0, slot: Int(truncatingIfNeeded: hash) & (Self.capacity &- 1))
        }
        let low: UInt64, high: UInt64
        if size >= 8 {
            low = raw.loadUnaligned(as: UInt64.self)
            high = raw.loadUnaligned(fromByteOffset: size &- 8, as: UInt64.self)
        } else {
            low = ByteHash.tail(raw, size)
            high = 0
        }
        let hash = ByteHash.mix(low ^ seed, high ^ 0x9E37_79B9_7F4A_7C15 ^ UInt64(truncatingIfNeeded: size))
        return Key(low: low, high: high, slot: Int(truncatingIfNeeded: hash) & (Self.capacity &- 1))
    }

    /// Appends the word's ids and tells that it knew them.
    @inline(__always) func find(_ key: Key, _ word: UnsafePointer<UInt8>, _ size: Int, into ids: inout IDBuffer) -> Bool {
        var place = key.slot
        for _ in 0..<2 {
            let slot = slots[place]
            if Int(slot.size) == size, slot.low == key.low, size > 16 ? isSame(slot, word, size) : slot.high == key.high {
                if slot.tokens <= 3 {
                    ids.append(slot.first, slot.second, slot.third, count: Int(slot.tokens))
                } else {
                    for index in 0..<Int(slot.tokens) { ids.append(manyIDs[Int(slot.first) &+ index]) }
                }
                return true
            }
            place ^= 1
        }
        return false
    }

    private func isSame(_ slot: Slot, _ word: UnsafePointer<UInt8>, _ size: Int) -> Bool {
        longWords.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress, Int(slot.high) + size <= buffer.count else { return false }
            return memcmp(base + Int(slot.high), word, size) == 0
        }
    }

    func insert(_ key: Key, _ word: UnsafePointer<UInt8>, _ size: Int, _ tokens: [WordToken]) {
        if longWords.count > Self.sideLimit || manyIDs.count > Self.sideLimit {
            longWords.removeAll(keepingCapacity: true)
            manyIDs.removeAll(keepingCapacity: true)
            slots.update(repeating: Slot(), count: Self.capacity)
        }
        var slot = Slot(low: key.low, high: key.high, size: UInt16(size), tokens: UInt16(tokens.count))
        if size > 16 {
            slot.high = UInt64(longWords.count)
            longWords.append(contentsOf: UnsafeBufferPointer(start: word, count: size))
        }
        if tokens.count <= 3 {
            if tokens.count > 0 { slot.first = tokens[0].id }
            if tokens.count > 1 { slot.second = tokens[1].id }
            if tokens.count > 2 { slot.third = tokens[2].id }
        } else {
            slot.first = Int32(truncatingIfNeeded: manyIDs.count)
            for token in tokens { manyIDs.append(token.id) }
        }
        // The newest word comes first; the one before it moves to the second slot.
        slots[key.slot ^ 1] = slots[key.slot]
        slots[key.slot] = slot
    }
}

/// A growing list of ids with room checked once for several.
struct IDBuffer: ~Copyable {
    private(set) var count = 0
    private var capacity: Int
    private var base: UnsafeMutablePointer<Int32>

    init(capacity: Int) {
        self.capacity = max(capacity, 16)
        base = .allocate(capacity: self.capacity)
    }

    deinit { base.deallocate() }

    @inline(never) private mutating func grow() {
        let larger = UnsafeMutablePointer<Int32>.allocate(capacity: capacity * 2)
        larger.update(from: base, count: count)
        base.deallocate()
        base = larger
        capacity *= 2
    }

    @inline(__always) mutating func append(_ id: Int32) {
        if count == capacity { grow() }
        base[count] = id
        count &+= 1
    }

    /// Appends the first `count` of three.
    @inline(__always) mutating func append(_ first: Int32, _ second: Int32, _ third: Int32, count added: Int) {
        if count &+ 3 > capacity { grow() }
        base[count] = first
        base[count &+ 1] = second
        base[count &+ 2] = third
        count &+= added
    }

    var array: [Int32] { Array(UnsafeBufferPointer(start: base, count: count)) }
}
