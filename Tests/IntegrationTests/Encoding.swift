import Tensors

extension TensorView {
    /// Floats stored as a type that checkpoints use. Rounding is the plain one (to nearest away from zero): any valid file will do here.
    static func encoded(_ values: [Float], _ shape: Shape, _ dtype: DType) throws -> TensorView {
        let bytes: [UInt8] =
            switch dtype {
            case .bf16: values.flatMap { littleEndian(UInt16(truncatingIfNeeded: ($0.bitPattern + 0x8000) >> 16)) }
            case .q8_0: blocks(of: values, q8)
            case .q4_0: blocks(of: values, q4)
            default: values.flatMap { littleEndian($0.bitPattern) }
            }
        return try make(dtype, shape) { $0.copyBytes(from: bytes) }
    }

    private static func blocks(of values: [Float], _ encode: (ArraySlice<Float>) -> [UInt8]) -> [UInt8] {
        stride(from: 0, to: values.count, by: 32).flatMap { encode(values[$0..<$0 + 32]) }
    }

    /// ggml's Q8_0: an f16 scale, then 32 signed bytes.
    private static func q8(_ block: ArraySlice<Float>) -> [UInt8] {
        let scale = (block.map(\.magnitude).max() ?? 0) / 127
        return half(scale) + block.map { UInt8(bitPattern: Int8(clamping: Int(($0 / scale).rounded()))) }
    }

    /// ggml's Q4_0: an f16 scale, then 16 bytes whose low nibbles are elements 0...15 and high ones 16...31, each with an offset of 8.
    private static func q4(_ block: ArraySlice<Float>) -> [UInt8] {
        let extreme = block.max { $0.magnitude < $1.magnitude } ?? 0
        let scale = extreme / -8
        let codes = block.map { UInt8(clamping: min(15, Int(($0 / scale).rounded()) + 8)) }
        return half(scale) + (0..<16).map { codes[$0] | codes[$0 + 16] << 4 }
    }

    /// IEEE binary16 of a normal number within its range, truncated. In integers: the type is not on every platform.
    private static func half(_ value: Float) -> [UInt8] {
        let bits = value.bitPattern
        let exponent = Int(bits >> 23 & 0xFF) - 112
        guard exponent > 0, exponent < 31 else { return [0, 0] }
        return littleEndian(UInt16(bits >> 16 & 0x8000) | UInt16(exponent) << 10 | UInt16(bits >> 13 & 0x3FF))
    }

    private static func littleEndian(_ value: UInt16) -> [UInt8] { [UInt8(value & 0xFF), UInt8(value >> 8)] }
    private static func littleEndian(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(value >> (8 * $0) & 0xFF) } }
}

/// SplitMix64: the same weights and requests in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
