/// A fast hash of short byte strings: multiply-and-fold over eight bytes at a time, as in wyhash.
///
/// The seed differs between processes, so that a crafted text cannot choose its collisions.
enum ByteHash {
    static let seed: UInt64 = UInt64.random(in: .min ... .max)

    @inline(__always) static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }

    @inline(__always) static func hash(_ bytes: UnsafePointer<UInt8>, _ count: Int, seed: UInt64) -> UInt64 {
        let raw = UnsafeRawPointer(bytes)
        var state = seed ^ (UInt64(truncatingIfNeeded: count) &* 0x9E37_79B9_7F4A_7C15)
        var offset = 0
        while offset &+ 8 <= count {
            state = mix(state ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self), 0xA076_1D64_78BD_642F)
            offset &+= 8
        }
        if offset < count { state = mix(state ^ tail(raw + offset, count &- offset), 0xE703_7ED1_A0B4_28DB) }
        return mix(state, 0x8EBC_6AF0_9C88_C6E3)
    }

    /// The last `count` (1...7) bytes as one number.
    @inline(__always) static func tail(_ raw: UnsafeRawPointer, _ count: Int) -> UInt64 {
        if count >= 4 {
            let low = UInt64(raw.loadUnaligned(as: UInt32.self))
            let high = UInt64(raw.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
            return low | high << 32
        }
        let first = UInt64(raw.load(as: UInt8.self)), middle = UInt64(raw.load(fromByteOffset: count >> 1, as: UInt8.self))
        let last = UInt64(raw.load(fromByteOffset: count &- 1, as: UInt8.self))
        return first | middle << 8 | last << 16
    }

    @inline(__always) static func hash(pair: UInt64) -> UInt64 { mix(pair ^ 0xA076_1D64_78BD_642F, 0x9E37_79B9_7F4A_7C15) }
}
