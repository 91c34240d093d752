import CKernels

/// Rounding to the small types that hub checkpoints hold.
enum FloatCodes {
    /// The FP8 E4M3 byte nearest to `value`, ties to even, saturating at ±448. NaN stays NaN.
    static func e4m3(_ value: Float) -> UInt8 {
        let sign: UInt8 = value.sign == .minus ? 0x80 : 0
        let magnitude = value.magnitude
        if value.isNaN { return sign | 0x7F }
        if magnitude >= 448 { return sign | 0x7E }
        // Below 2⁻⁶ steps are 2⁻⁹ wide.
        if magnitude < 0x1p-6 { return sign | UInt8((magnitude * 512).rounded(.toNearestOrEven)) }
        let bits = magnitude.bitPattern
        let rounded = (bits + 0x7FFFF + (bits >> 20 & 1)) >> 20
        return sign | UInt8(truncatingIfNeeded: rounded - 120 << 3)
    }

    /// `value` as a half's bits, and what these stand for.
    static func half(_ value: Float) -> (bits: UInt16, value: Float) {
        var value = value, bits: UInt16 = 0, read: Float = 0
        nt_f32_to_f16(&value, &bits, 1)
        nt_f16_to_f32(&bits, &read, 1)
        return (bits, read)
    }

    static func bfloat16(_ value: Float) -> (bits: UInt16, value: Float) {
        var value = value, bits: UInt16 = 0
        nt_f32_to_bf16(&value, &bits, 1)
        return (bits, Float(bitPattern: UInt32(bits) << 16))
    }
}
