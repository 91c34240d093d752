extension TensorView {
    /// The elements widened to f32 (f64 is rounded). For small tensors such as norms: kernels read the bytes instead. Throws for types
    /// that are not plain floating point.
    package func floats() throws(TensorError) -> [Float] {
        let values: [Float]? = withUnsafeBytes { bytes in
            switch dtype {
            case .f32: elements(bytes, UInt32.self) { Float(bitPattern: $0) }
            case .f64: elements(bytes, UInt64.self) { Float(Double(bitPattern: $0)) }
            case .bf16: elements(bytes, UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
            case .f16: elements(bytes, UInt16.self, halfToFloat)
            case .f8_e5m2: elements(bytes, UInt8.self) { halfToFloat(UInt16($0) << 8) }
            case .f8_e4m3: elements(bytes, UInt8.self, e4m3ToFloat)
            default: nil
            }
        }
        guard let values else { throw TensorError("elements of type \(dtype) cannot be read as floats") }
        return values
    }

    /// The elements of an integer or boolean tensor. Throws for other types, and where a u64 does not fit.
    package func integers() throws(TensorError) -> [Int] {
        let values: [Int?]? = withUnsafeBytes { bytes in
            switch dtype {
            case .i64: elements(bytes, Int64.self) { Int($0) }
            case .i32: elements(bytes, Int32.self) { Int($0) }
            case .i16: elements(bytes, Int16.self) { Int($0) }
            case .i8: elements(bytes, Int8.self) { Int($0) }
            case .u64: elements(bytes, UInt64.self) { Int(exactly: $0) }
            case .u32: elements(bytes, UInt32.self) { Int($0) }
            case .u16: elements(bytes, UInt16.self) { Int($0) }
            case .u8, .bool: elements(bytes, UInt8.self) { Int($0) }
            default: nil
            }
        }
        guard let values else { throw TensorError("elements of type \(dtype) cannot be read as integers") }
        let fitting = values.compactMap(\.self)
        guard fitting.count == values.count else { throw TensorError("an element of type \(dtype) is larger than \(Int.max)") }
        return fitting
    }

    private func elements<Stored: FixedWidthInteger & BitwiseCopyable, Value>(
        _ bytes: UnsafeRawBufferPointer, _: Stored.Type, _ value: (Stored) -> Value
    ) -> [Value] {
        let size = MemoryLayout<Stored>.size
        return (0..<bytes.count / size).map { value(Stored(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * size, as: Stored.self))) }
    }
}

/// IEEE binary16 to f32, exactly. In integers: a half-float convert at the baseline CPU target is a library call.
func halfToFloat(_ half: UInt16) -> Float {
    let sign = UInt32(half & 0x8000) << 16
    let exponent = UInt32(half >> 10) & 0x1F
    let fraction = UInt32(half) & 0x3FF
    switch exponent {
    case 0:
        let magnitude = Float(fraction) * 0x1p-24
        return Float(bitPattern: sign | magnitude.bitPattern)
    case 0x1F: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
}

/// OCP FP8 E4M3 (no infinities; 0x7F and 0xFF are NaN) to f32, exactly.
func e4m3ToFloat(_ byte: UInt8) -> Float {
    let sign = UInt32(byte & 0x80) << 24
    let exponent = UInt32(byte >> 3) & 0xF
    let fraction = UInt32(byte) & 7
    if byte & 0x7F == 0x7F { return .nan }
    if exponent == 0 { return Float(bitPattern: sign | (Float(fraction) * 0x1p-9).bitPattern) }
    return Float(bitPattern: sign | (exponent + 120) << 23 | fraction << 20)
}
