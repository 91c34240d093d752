/// 128-bit secret of the block hashes.
package struct HashKey: Sendable, Equatable {
    package var k0: UInt64
    package var k1: UInt64

    package init(k0: UInt64, k1: UInt64) {
        self.k0 = k0
        self.k1 = k1
    }

    /// From the system's random source.
    package static func random() -> HashKey {
        var source = SystemRandomNumberGenerator()
        return HashKey(k0: source.next(), k1: source.next())
    }
}

/// What a block's keys and values depend on: its tokens, all tokens before it, salt and adapter. SipHash-2-4 with 128 bits of output under
/// a secret key: without the key nobody can construct two prefixes that collide, and by chance it takes about 2^64 blocks.
package struct BlockHash: Sendable, Hashable {
    package let low: UInt64
    package let high: UInt64

    package init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// The bare function over little-endian words.
    package static func of(words: [UInt64], key: HashKey) -> BlockHash {
        var hasher = SipHash128(key)
        for word in words { hasher.combine(word) }
        return hasher.finish()
    }

    package static func == (a: BlockHash, b: BlockHash) -> Bool { a.low == b.low && a.high == b.high }
    /// The bits are already mixed.
    package func hash(into hasher: inout Hasher) { hasher.combine(low) }

    /// Stands before the first block of a sequence.
    /// - Parameter promptLength: where the keys depend on it (`KVCacheSpec.lengthDependentBeyond`), else nil.
    package static func root(cacheSalt: String?, loraID: Int32?, promptLength: Int? = nil, key: HashKey) -> BlockHash {
        var hasher = SipHash128(key)
        if let promptLength { hasher.combine(UInt64(promptLength) << 8 | 4) }
        hasher.combine(UInt64(cacheSalt == nil ? 0 : 1) | (loraID == nil ? 0 : 2))
        hasher.combine(UInt64(UInt32(bitPattern: loraID ?? 0)))
        var word: UInt64 = 0
        var count: UInt64 = 0
        for byte in (cacheSalt ?? "").utf8 {
            word |= UInt64(byte) << (8 * (count % 8))
            count += 1
            if count % 8 == 0 {
                hasher.combine(word)
                word = 0
            }
        }
        hasher.combine(word)
        hasher.combine(count)
        return hasher.finish()
    }

    /// The hash of the block that follows `parent` and holds `tokens`.
    package static func next(after parent: BlockHash, tokens: some RandomAccessCollection<Int32>, key: HashKey) -> BlockHash {
        var hasher = SipHash128(key)
        hasher.combine(parent.low)
        hasher.combine(parent.high)
        var pending: UInt64 = 0
        var isHalf = false
        for token in tokens {
            if isHalf {
                hasher.combine(pending | UInt64(UInt32(bitPattern: token)) << 32)
            } else {
                pending = UInt64(UInt32(bitPattern: token))
            }
            isHalf.toggle()
        }
        if isHalf { hasher.combine(pending) }
        return hasher.finish()
    }
}

/// Aumasson and Bernstein's SipHash-2-4 with 128-bit output, over 64-bit little-endian words.
struct SipHash128 {
    private var v0, v1, v2, v3: UInt64
    private var words: UInt64 = 0

    init(_ key: HashKey) {
        v0 = key.k0 ^ 0x736f_6d65_7073_6575
        v1 = key.k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
        v2 = key.k0 ^ 0x6c79_6765_6e65_7261
        v3 = key.k1 ^ 0x7465_6462_7974_6573
    }

    @inline(__always)
    private mutating func round() {
        v0 &+= v1
        v1 = v1 << 13 | v1 >> 51
        v1 ^= v0
        v0 = v0 << 32 | v0 >> 32
        v2 &+= v3
        v3 = v3 << 16 | v3 >> 48
        v3 ^= v2
        v0 &+= v3
        v3 = v3 << 21 | v3 >> 43
        v3 ^= v0
        v2 &+= v1
        v1 = v1 << 17 | v1 >> 47
        v1 ^= v2
        v2 = v2 << 32 | v2 >> 32
    }

    @inline(__always)
    mutating func combine(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
        words &+= 1
    }

    /// Call once, last.
    mutating func finish() -> BlockHash {
        combine((words &* 8) << 56)  // the reference's last block: byte count in the top byte, no bytes left over
        v2 ^= 0xee
        for _ in 0..<4 { round() }
        let low = v0 ^ v1 ^ v2 ^ v3
        v1 ^= 0xdd
        for _ in 0..<4 { round() }
        return BlockHash(low: low, high: v0 ^ v1 ^ v2 ^ v3)
    }
}
