/// A metadata value to be written.
package enum GGUFValue: Sendable, Equatable {
    case u8(UInt8), i8(Int8), u16(UInt16), i16(Int16), u32(UInt32), i32(Int32), u64(UInt64), i64(Int64)
    case f32(Float), f64(Double), bool(Bool), string(String)
    case strings([String]), i32s([Int32]), u32s([UInt32]), f32s([Float]), u8s([UInt8]), bools([Bool])
    /// A value in the file's own form, type included: what `GGUFMetadata.raw` copies.
    case raw([UInt8])

    /// Appends type and value.
    func write(into output: inout [UInt8]) {
        switch self {
        case .u8(let value): Self.append(.u8, value, &output)
        case .i8(let value): Self.append(.i8, value, &output)
        case .u16(let value): Self.append(.u16, value, &output)
        case .i16(let value): Self.append(.i16, value, &output)
        case .u32(let value): Self.append(.u32, value, &output)
        case .i32(let value): Self.append(.i32, value, &output)
        case .u64(let value): Self.append(.u64, value, &output)
        case .i64(let value): Self.append(.i64, value, &output)
        case .f32(let value): Self.append(.f32, value.bitPattern, &output)
        case .f64(let value): Self.append(.f64, value.bitPattern, &output)
        case .bool(let value): Self.append(.bool, UInt8(value ? 1 : 0), &output)
        case .string(let text):
            Self.append(GGUFValueType.string.rawValue, &output)
            Self.append(text, &output)
        case .strings(let texts):
            Self.appendArrayHead(.string, texts.count, &output)
            for text in texts { Self.append(text, &output) }
        case .i32s(let values):
            Self.appendArrayHead(.i32, values.count, &output)
            for value in values { Self.append(value, &output) }
        case .u32s(let values):
            Self.appendArrayHead(.u32, values.count, &output)
            for value in values { Self.append(value, &output) }
        case .f32s(let values):
            Self.appendArrayHead(.f32, values.count, &output)
            for value in values { Self.append(value.bitPattern, &output) }
        case .u8s(let values):
            Self.appendArrayHead(.u8, values.count, &output)
            output += values
        case .bools(let values):
            Self.appendArrayHead(.bool, values.count, &output)
            output += values.map { $0 ? 1 : 0 }
        case .raw(let bytes): output += bytes
        }
    }

    static func append(_ value: some FixedWidthInteger, _ output: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { output.append(contentsOf: $0) }
    }

    static func append(_ text: String, _ output: inout [UInt8]) {
        append(UInt64(text.utf8.count), &output)
        output.append(contentsOf: text.utf8)
    }

    private static func append(_ type: GGUFValueType, _ value: some FixedWidthInteger, _ output: inout [UInt8]) {
        append(type.rawValue, &output)
        append(value, &output)
    }

    private static func appendArrayHead(_ type: GGUFValueType, _ count: Int, _ output: inout [UInt8]) {
        append(GGUFValueType.array.rawValue, &output)
        append(type.rawValue, &output)
        append(UInt64(count), &output)
    }
}

extension GGUFMetadata {
    /// A value to be written into another file unchanged; nil where the key is absent.
    package func raw(_ key: String) -> GGUFValue? {
        guard let field = fields[key] else { return nil }
        var bytes: [UInt8] = []
        GGUFValue.append(field.type.rawValue, &bytes)
        if let element = field.element {
            GGUFValue.append(element.rawValue, &bytes)
            GGUFValue.append(UInt64(field.count), &bytes)
        } else if field.type == .string {
            GGUFValue.append(UInt64(field.range.count), &bytes)
        }
        return .raw(withBytes(field.range) { bytes + Array($0) })
    }
}
