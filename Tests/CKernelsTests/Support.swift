import CKernels
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#endif

/// All kernel tests. Serialized, because the ISA level under test is one for the process.
@Suite(.serialized) struct Kernels {
    /// Levels this machine has, each made current while `body` runs.
    static func forEachLevel(_ body: (nt_isa) throws -> Void) rethrows {
        nt_kernels_init()
        defer { _ = nt_set_isa(nt_cpu_best_isa()) }
        for raw in 0...nt_cpu_best_isa().rawValue {
            try body(nt_set_isa(nt_isa(raw)))
        }
    }
}

/// SplitMix64: the seed of a failing case is in its comment.
struct Random {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next() >> 20) }
    /// -1 ..< 1
    mutating func unit() -> Float { Float(Int64(bitPattern: next()) >> 40) / 8_388_608 }
    mutating func floats(_ count: Int, scale: Float = 1) -> [Float] { (0..<count).map { _ in unit() * scale } }
}

func bf16(_ x: Float) -> UInt16 {
    if x.isNaN { return UInt16(x.bitPattern >> 16) | 0x40 }
    let b = x.bitPattern
    return UInt16(truncatingIfNeeded: (b &+ 0x7FFF &+ ((b >> 16) & 1)) >> 16)
}
func float(bf16 h: UInt16) -> Float { Float(bitPattern: UInt32(h) << 16) }

/// Value of half bits, from the definition.
func float(f16 h: UInt16) -> Float {
    let sign: Float = h & 0x8000 != 0 ? -1 : 1
    let exponent = Int(h >> 10 & 31), fraction = Float(h & 1023)
    switch exponent {
    case 0: return sign * fraction * Float(sign: .plus, exponent: -24, significand: 1)
    case 31: return fraction == 0 ? sign * .infinity : .nan
    default: return sign * (1 + fraction / 1024) * Float(sign: .plus, exponent: exponent - 15, significand: 1)
    }
}
func f16(_ x: Float) -> UInt16 {
    var out: UInt16 = 0
    withUnsafePointer(to: x) { nt_f32_to_f16($0, &out, 1) }
    return out
}

/// Bytes of `values` at an odd address offset of `offset` in a fresh array, for unaligned reads.
func bytes<T>(of values: [T]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }

func sameBits(_ a: [Float], _ b: [Float]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern }
}
