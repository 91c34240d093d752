import CKernels

/// A matrix of codes with a scale for each group of columns, and what its weights are worth by the definition.
struct GroupedReference {
    enum Scales { case f16, bf16, f32 }
    enum Zeros: CaseIterable { case none, same, whole, fractional }

    let code: nt_code, n: Int, k: Int, group: Int
    var codes: [UInt8] = [], scales: [Float] = [], zeros: [Float]?, table: [Float]?
    /// `[n][k]`
    var weights: [[Double]] = []

    static let nf4: [Float] = [
        -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
        0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
        0.7229568362236023, 1,
    ]
    static let e2m1: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]

    init(_ code: nt_code, _ n: Int, _ k: Int, group: Int, scales kind: Scales, zeros zeroKind: Zeros = .none, table: [Float]? = nil, seed: UInt64) {
        var random = Random(seed)
        (self.code, self.n, self.k, self.group, self.table) = (code, n, k, group, table)
        let groups = (k + group - 1) / group, nibbles = code == NT_CODE_UINT4 || code == NT_CODE_TABLE4
        scales = (0..<n * groups).map { _ in
            let x = random.unit() * 0.1
            switch kind {
            case .f16: return float(f16: f16(x))
            case .bf16: return float(bf16: bf16(x)) * 0x1p24  // out of the range of half precision
            case .f32: return x
            }
        }
        let signed = code == NT_CODE_INT8
        switch zeroKind {
        case .none: zeros = nil
        case .same: zeros = scales.map { _ in signed ? -3 : 8 }
        case .whole: zeros = scales.map { _ in signed ? Float(Int8(bitPattern: random.byte())) : Float(random.byte() % 17) }
        case .fractional: zeros = scales.map { _ in 7.5 + random.unit() }
        }
        let wanted = (0..<n * k).map { _ -> UInt8 in
            let byte = random.byte()
            if nibbles { return byte & 15 }
            return code == NT_CODE_FLOAT8 && byte & 0x7F == 0x7F ? 0x7E : byte  // no NaN
        }
        if nibbles {
            let width = (k + 1) / 2
            codes = [UInt8](repeating: 0, count: n * width)
            for row in 0..<n { for j in 0..<k { codes[row * width + j / 2] |= wanted[row * k + j] << (j % 2 * 4) } }
        } else {
            codes = wanted
        }
        weights = (0..<n).map { row in
            (0..<k).map { j in
                let at = row * groups + j / group
                return (value(wanted[row * k + j]) - Double(zeros?[at] ?? 0)) * Double(scales[at])
            }
        }
    }

    private func value(_ code: UInt8) -> Double {
        switch self.code {
        case NT_CODE_INT8: return Double(Int8(bitPattern: code))
        case NT_CODE_TABLE4: return Double(table?[Int(code)] ?? .nan)
        case NT_CODE_FLOAT8:
            let exponent = Int(code >> 3 & 15), fraction = Double(code & 7) / 8
            let size = exponent == 0 ? fraction / 64 : (1 + fraction) * Double(sign: .plus, exponent: exponent - 7, significand: 1)
            return code & 0x80 != 0 ? -size : size
        default: return Double(code)
        }
    }

    func withSource<Result>(_ body: (inout nt_grouped_source) -> Result) -> Result {
        codes.withUnsafeBufferPointer { codes in scales.withUnsafeBufferPointer { scales in
            (zeros ?? []).withUnsafeBufferPointer { zeros in (table ?? []).withUnsafeBufferPointer { table in
                var source = nt_grouped_source()
                (source.code, source.n, source.k, source.group) = (code, n, k, group)
                source.codes = codes.baseAddress
                source.scales = scales.baseAddress
                source.zeros = self.zeros == nil ? nil : zeros.baseAddress
                source.table = self.table == nil ? nil : table.baseAddress
                return body(&source)
            } }
        } }
    }
}
