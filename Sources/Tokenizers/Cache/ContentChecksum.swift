/// A hash of much content, to tell files apart and to notice damage; not against somebody who makes files alike.
///
/// Four chains of `ByteHash.mix` run side by side: one alone would wait for its multiplications.
package enum ContentChecksum {
    package static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        guard let base = bytes.baseAddress else { return 0 }
        var a: UInt64 = 0x9E37_79B9_7F4A_7C15, b: UInt64 = 0xC2B2_AE3D_27D4_EB4F, c: UInt64 = 0x1656_67B1_9E37_79F9, d: UInt64 = 0x2545_F491_4F6C_DD1D
        var offset = 0
        while offset &+ 32 <= bytes.count {
            a = ByteHash.mix(a ^ base.loadUnaligned(fromByteOffset: offset, as: UInt64.self), 0xA076_1D64_78BD_642F)
            b = ByteHash.mix(b ^ base.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self), 0xE703_7ED1_A0B4_28DB)
            c = ByteHash.mix(c ^ base.loadUnaligned(fromByteOffset: offset &+ 16, as: UInt64.self), 0x8EBC_6AF0_9C88_C6E3)
            d = ByteHash.mix(d ^ base.loadUnaligned(fromByteOffset: offset &+ 24, as: UInt64.self), 0x5895_54E3_B90D_1B0F)
            offset &+= 32
        }
        let rest = ByteHash.hash((base + offset).assumingMemoryBound(to: UInt8.self), bytes.count &- offset, seed: UInt64(bytes.count))
        return ByteHash.mix(ByteHash.mix(a ^ rest, b | 1) ^ c, ByteHash.mix(d, rest | 1) | 1)
    }
}
