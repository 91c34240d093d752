import CKernels

/// Block formats written again from the GGUF specification, element by element, to hold the kernels against.
enum GGUFReference {
    static let packable: [nt_type] = [
        NT_Q8_0, NT_Q4_0, NT_Q4_1, NT_Q5_0, NT_Q5_1, NT_Q2_K, NT_Q3_K, NT_Q4_K, NT_Q5_K, NT_Q6_K, NT_IQ4_NL, NT_IQ4_XS, NT_MXFP4,
    ]
    static let all: [nt_type] = packable + [NT_Q8_K]
    /// Types that are multiplied as stored.
    static let expanded: [nt_type] = [
        NT_Q8_1, NT_Q8_K, NT_IQ1_S, NT_IQ1_M, NT_IQ2_XXS, NT_IQ2_XS, NT_IQ2_S, NT_IQ3_XXS, NT_IQ3_S, NT_TQ1_0, NT_TQ2_0, NT_NVFP4, NT_Q1_0, NT_Q2_0,
    ]

    /// Offsets of half-precision scales in a block: random bytes there would be infinities.
    static func scaleOffsets(_ type: nt_type) -> [Int] {
        switch type {
        case NT_Q4_1, NT_Q5_1, NT_Q4_K, NT_Q5_K: [0, 2]
        case NT_Q6_K: [208]
        case NT_Q2_K: [80, 82]
        case NT_Q3_K: [108]
        case NT_Q8_K, NT_MXFP4: []
        default: [0]
        }
    }

    /// Random blocks with scales of about 0.01.
    static func randomRow(_ type: nt_type, _ k: Int, _ random: inout Random) -> [UInt8] {
        let blocks = k / nt_block_elements(type), size = nt_block_bytes(type)
        var row = (0..<blocks * size).map { _ in random.byte() }
        for b in 0..<blocks {
            for offset in scaleOffsets(type) {
                let h = f16(random.unit() * 0.02)
                row[b * size + offset] = UInt8(h & 255)
                row[b * size + offset + 1] = UInt8(h >> 8)
            }
            if type == NT_Q8_K {
                withUnsafeBytes(of: random.unit() * 0.02) { for i in 0..<4 { row[b * size + i] = $0[i] } }
            }
            if type == NT_MXFP4 { row[b * size] = 118 + random.byte() % 8 }
        }
        return row
    }

    static func dequantize(_ type: nt_type, _ row: [UInt8], _ k: Int) -> [Double] {
        let elements = nt_block_elements(type), size = nt_block_bytes(type)
        return (0..<k).map { element(type, Array(row[($0 / elements * size)..<($0 / elements * size + size)]), $0 % elements) }
    }

    private static func half(_ b: [UInt8], _ at: Int) -> Double { Double(float(f16: UInt16(b[at]) | UInt16(b[at + 1]) << 8)) }
    private static func nibble(_ b: [UInt8], _ at: Int, _ i: Int) -> Int { Int(i < 16 ? b[at + i] & 15 : b[at + i - 16] >> 4) }
    private static func fifth(_ b: [UInt8], _ at: Int, _ i: Int) -> Int { Int(b[at + i / 8] >> UInt8(i % 8) & 1) << 4 }
    private static func signed(_ b: UInt8) -> Double { Double(Int8(bitPattern: b)) }

    /// 6-bit scale and min j of the 12 bytes at 4.
    private static func scaleMin(_ b: [UInt8], _ j: Int) -> (Double, Double) {
        let s = b[4..<16].map { Int($0) }
        if j < 4 { return (Double(s[j] % 64), Double(s[j + 4] % 64)) }
        return (Double(s[j + 4] % 16 + s[j - 4] / 64 * 16), Double(s[j + 4] / 16 + s[j] / 64 * 16))
    }

    private static let iq4: [Double] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]
    private static let e2m1: [Double] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6]

    /// Element i of one block.
    private static func element(_ type: nt_type, _ b: [UInt8], _ i: Int) -> Double {
        switch type {
        case NT_Q8_0: return half(b, 0) * signed(b[2 + i])
        case NT_Q4_0: return half(b, 0) * Double(nibble(b, 2, i) - 8)
        case NT_Q4_1: return half(b, 0) * Double(nibble(b, 4, i)) + half(b, 2)
        case NT_Q5_0: return half(b, 0) * Double(nibble(b, 6, i) + fifth(b, 2, i) - 16)
        case NT_Q5_1: return half(b, 0) * Double(nibble(b, 8, i) + fifth(b, 4, i)) + half(b, 2)
        case NT_Q4_K, NT_Q5_K:
            let j = i / 32, (scale, min) = scaleMin(b, j), codes = type == NT_Q4_K ? 16 : 48
            let byte = b[codes + i / 64 * 32 + i % 32]
            var code = Int(j % 2 == 0 ? byte & 15 : byte >> 4)
            if type == NT_Q5_K { code += Int(b[16 + i % 32] >> UInt8(j) & 1) * 16 }
            return half(b, 0) * scale * Double(code) - half(b, 2) * min
        case NT_Q6_K:
            let half128 = i / 128, within = i % 128, quarter = within / 32, l = within % 32
            let low = b[64 * half128 + 32 * (quarter % 2) + l], high = b[128 + 32 * half128 + l]
            let code = Int(quarter < 2 ? low & 15 : low >> 4) + Int(high >> UInt8(2 * quarter) & 3) * 16 - 32
            return half(b, 208) * signed(b[192 + i / 16]) * Double(code)
        case NT_Q2_K:
            let code = Int(b[16 + i / 128 * 32 + i % 32] >> UInt8(i % 128 / 32 * 2) & 3), scale = b[i / 16]
            return half(b, 80) * Double(scale & 15) * Double(code) - half(b, 82) * Double(scale >> 4)
        case NT_Q3_K:
            let j = i / 16, low = j < 8 ? b[96 + j] & 15 : b[96 + j - 8] >> 4
            let scale = Int(low) + Int(b[104 + j % 4] >> UInt8(2 * (j / 4)) & 3) * 16 - 32
            let two = Int(b[32 + i / 128 * 32 + i % 32] >> UInt8(i % 128 / 32 * 2) & 3)
            let code = two - (b[i % 32] >> UInt8(i / 32) & 1 == 1 ? 0 : 4)
            return half(b, 108) * Double(scale) * Double(code)
        case NT_Q8_K:
            let bits = UInt32(b[0]) | UInt32(b[1]) << 8 | UInt32(b[2]) << 16 | UInt32(b[3]) << 24
            return Double(Float(bitPattern: bits)) * signed(b[4 + i])
        case NT_IQ4_NL: return half(b, 0) * iq4[nibble(b, 2, i)]
        case NT_IQ4_XS:
            let j = i / 32, low = Int(b[4 + j / 2] >> UInt8(4 * (j % 2)) & 15)
            let high = Int((UInt16(b[2]) | UInt16(b[3]) << 8) >> UInt16(2 * j) & 3)
            return half(b, 0) * Double(low + 16 * high - 32) * iq4[nibble(b, 8 + 16 * j, i % 32)]
        case NT_MXFP4: return Double(sign: .plus, exponent: Int(b[0]) - 127, significand: 1) * e2m1[nibble(b, 1, i)]
        default: return .nan
        }
    }
}
