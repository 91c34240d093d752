/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): random bits as a pure function of key and
/// counter. The key is the sample's seed and the counter the output position, so that a draw does not depend on the batch, on preemption
/// or on which process makes it: a stream goes on elsewhere with the same seed and position.
package enum Philox {
    /// - Returns: four independent 32-bit words.
    package static func words(key: UInt64, counter: UInt64, stream: UInt64 = 0) -> SIMD4<UInt32> {
        var x = SIMD4<UInt32>(
            UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32),
            UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32))
        var k0 = UInt32(truncatingIfNeeded: key)
        var k1 = UInt32(truncatingIfNeeded: key >> 32)
        for _ in 0..<10 {
            let a = UInt64(x[0]) * 0xD251_1F53
            let b = UInt64(x[2]) * 0xCD9E_8D57
            x = SIMD4(
                UInt32(truncatingIfNeeded: b >> 32) ^ x[1] ^ k0, UInt32(truncatingIfNeeded: b),
                UInt32(truncatingIfNeeded: a >> 32) ^ x[3] ^ k1, UInt32(truncatingIfNeeded: a))
            k0 &+= 0x9E37_79B9
            k1 &+= 0xBB67_AE85
        }
        return x
    }

    /// The draw at output position `position`: uniform in [0, 1), 53 bits.
    package static func uniform(seed: UInt64, position: Int) -> Double {
        let x = words(key: seed, counter: UInt64(truncatingIfNeeded: position))
        let bits = UInt64(x[0]) << 32 | UInt64(x[1])
        return Double(bits >> 11) * 0x1p-53
    }
}
