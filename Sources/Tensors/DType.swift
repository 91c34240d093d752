/// Element type of a tensor. Plain types have blocks of one element; quantised types pack `blockSize` elements of a row, with their
/// scales, into `bytesPerBlock` bytes. Block layouts are those of ggml (`ggml-common.h`).
package enum DType: UInt8, Sendable, Hashable, CaseIterable {
    case f64, f32, f16, bf16
    case f8_e4m3, f8_e5m2, f8_e8m0
    /// Two e2m1 values a byte, low nibble first.
    case f4_e2m1
    case i64, i32, i16, i8
    case u64, u32, u16, u8
    case bool
    /// Two f32: real, imaginary.
    case c64
    case q4_0, q4_1, q5_0, q5_1, q8_0, q8_1
    case q2_k, q3_k, q4_k, q5_k, q6_k, q8_k
    case iq1_s, iq1_m, iq2_xxs, iq2_xs, iq2_s, iq3_xxs, iq3_s, iq4_nl, iq4_xs
    case tq1_0, tq2_0
    case mxfp4, nvfp4
    case q1_0, q2_0

    /// Elements in a block; 1 for plain types.
    package var blockSize: Int { layout.elements }

    /// Bytes of a block; the element's size for plain types.
    package var bytesPerBlock: Int { layout.bytes }

    /// Whether elements share a block, so that rows can only be cut on block borders.
    package var isBlockQuantised: Bool { layout.elements > 1 && self != .f4_e2m1 }

    package var isFloat: Bool {
        switch self {
        case .f64, .f32, .f16, .bf16, .f8_e4m3, .f8_e5m2: true
        default: false
        }
    }

    package var isInteger: Bool {
        switch self {
        case .i64, .i32, .i16, .i8, .u64, .u32, .u16, .u8: true
        default: false
        }
    }

    /// Alignment in bytes that a pointer to this type's widest field needs.
    package var alignment: Int {
        switch self {
        case .f64, .i64, .u64: 8
        case .f32, .i32, .u32, .c64, .q8_k: 4
        case .f8_e4m3, .f8_e5m2, .f8_e8m0, .f4_e2m1, .i8, .u8, .bool, .mxfp4, .nvfp4: 1
        default: 2
        }
    }

    /// Bytes of `elements` elements in a row; nil where they do not fill whole blocks, are negative, or the size overflows.
    package func byteCount(elements: Int) -> Int? {
        guard elements >= 0, elements % blockSize == 0 else { return nil }
        let (bytes, overflow) = (elements / blockSize).multipliedReportingOverflow(by: bytesPerBlock)
        return overflow ? nil : bytes
    }

    private var layout: (elements: Int, bytes: Int) {
        switch self {
        case .f64, .i64, .u64, .c64: (1, 8)
        case .f32, .i32, .u32: (1, 4)
        case .f16, .bf16, .i16, .u16: (1, 2)
        case .f8_e4m3, .f8_e5m2, .f8_e8m0, .i8, .u8, .bool: (1, 1)
        case .f4_e2m1: (2, 1)
        case .q4_0, .iq4_nl: (32, 18)
        case .q4_1: (32, 20)
        case .q5_0: (32, 22)
        case .q5_1: (32, 24)
        case .q8_0: (32, 34)
        case .q8_1: (32, 36)
        case .q2_k: (256, 84)
        case .q3_k, .iq3_s: (256, 110)
        case .q4_k: (256, 144)
        case .q5_k: (256, 176)
        case .q6_k: (256, 210)
        case .q8_k: (256, 292)
        case .iq1_s: (256, 50)
        case .iq1_m: (256, 56)
        case .iq2_xxs: (256, 66)
        case .iq2_xs: (256, 74)
        case .iq2_s: (256, 82)
        case .iq3_xxs: (256, 98)
        case .iq4_xs: (256, 136)
        case .tq1_0: (256, 54)
        case .tq2_0: (256, 66)
        case .mxfp4: (32, 17)
        case .nvfp4: (64, 36)
        case .q1_0: (128, 18)
        case .q2_0: (64, 18)
        }
    }
}

extension DType: CustomStringConvertible {
    /// The type's usual name in lower case: `bf16`, `q4_k`.
    package var description: String {
        switch self {
        case .f64: "f64"
        case .f32: "f32"
        case .f16: "f16"
        case .bf16: "bf16"
        case .f8_e4m3: "f8_e4m3"
        case .f8_e5m2: "f8_e5m2"
        case .f8_e8m0: "f8_e8m0"
        case .f4_e2m1: "f4_e2m1"
        case .i64: "i64"
        case .i32: "i32"
        case .i16: "i16"
        case .i8: "i8"
        case .u64: "u64"
        case .u32: "u32"
        case .u16: "u16"
        case .u8: "u8"
        case .bool: "bool"
        case .c64: "c64"
        case .q4_0: "q4_0"
        case .q4_1: "q4_1"
        case .q5_0: "q5_0"
        case .q5_1: "q5_1"
        case .q8_0: "q8_0"
        case .q8_1: "q8_1"
        case .q2_k: "q2_k"
        case .q3_k: "q3_k"
        case .q4_k: "q4_k"
        case .q5_k: "q5_k"
        case .q6_k: "q6_k"
        case .q8_k: "q8_k"
        case .iq1_s: "iq1_s"
        case .iq1_m: "iq1_m"
        case .iq2_xxs: "iq2_xxs"
        case .iq2_xs: "iq2_xs"
        case .iq2_s: "iq2_s"
        case .iq3_xxs: "iq3_xxs"
        case .iq3_s: "iq3_s"
        case .iq4_nl: "iq4_nl"
        case .iq4_xs: "iq4_xs"
        case .tq1_0: "tq1_0"
        case .tq2_0: "tq2_0"
        case .mxfp4: "mxfp4"
        case .nvfp4: "nvfp4"
        case .q1_0: "q1_0"
        case .q2_0: "q2_0"
        }
    }
}
