package import JSON
import Tensors

extension GGUFMetadata {
    /// A value as JSON, arrays included; nil where the key is absent. Large arrays are better read with the getters below.
    package func json(_ key: String) -> JSONValue? {
        guard let field = fields[key] else { return nil }
        switch (field.type, field.element) {
        case (.string, _): return .string(String(decoding: file.bytes[field.range], as: UTF8.self))
        case (.array, .string?): return .array(GGUFStrings(file: file, ranges: stringRanges(field)).map { .string($0) })
        case (.array, let element?):
            return .array((0..<field.count).map { scalar(element, field.range.lowerBound + $0 * (element.byteCount ?? 0)) })
        default: return scalar(field.type, field.range.lowerBound)
        }
    }

    /// An array of strings, left in the file; nil where the key is absent.
    package func strings(_ key: String) throws(LoadError) -> GGUFStrings? {
        guard let field = fields[key] else { return nil }
        guard field.element == .string else { throw wrongType(key, field, "an array of strings") }
        return GGUFStrings(file: file, ranges: stringRanges(field))
    }

    /// An array of numbers as f32; nil where the key is absent.
    package func floats(_ key: String) throws(LoadError) -> [Float]? {
        try array(key, "an array of numbers") { $0.double.map { Float($0) } }
    }

    /// An array of integers that fit 32 bits; nil where the key is absent.
    package func int32s(_ key: String) throws(LoadError) -> [Int32]? {
        try array(key, "an array of 32-bit integers") { $0.int.flatMap { Int32(exactly: $0) } }
    }

    /// An array of bytes; nil where the key is absent.
    package func bytes(_ key: String) throws(LoadError) -> [UInt8]? {
        guard let field = fields[key] else { return nil }
        guard field.element == .u8 || field.element == .i8 else { throw wrongType(key, field, "an array of bytes") }
        return Array(file.bytes[field.range])
    }

    private func array<Element>(_ key: String, _ wanted: String, _ element: (JSONValue) -> Element?) throws(LoadError) -> [Element]? {
        guard let field = fields[key] else { return nil }
        guard let type = field.element, let size = type.byteCount else { throw wrongType(key, field, wanted) }
        var values: [Element] = []
        values.reserveCapacity(field.count)
        for index in 0..<field.count {
            guard let value = element(scalar(type, field.range.lowerBound + index * size)) else { throw wrongType(key, field, wanted) }
            values.append(value)
        }
        return values
    }

    private func wrongType(_ key: String, _ field: Field, _ wanted: String) -> LoadError {
        let found = field.element.map { "an array of \($0)" } ?? "\(field.type)"
        return .config(file: path, key: key, reason: "must be \(wanted), but is \(found)")
    }

    /// The strings of an array whose bounds were checked when the file was opened.
    private func stringRanges(_ field: Field) -> [(start: Int, count: Int)] {
        var ranges: [(start: Int, count: Int)] = []
        ranges.reserveCapacity(field.count)
        var offset = field.range.lowerBound
        for _ in 0..<field.count {
            let length = Int(UInt64(littleEndian: file.bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            ranges.append((offset + 8, length))
            offset += 8 + length
        }
        return ranges
    }

    private func scalar(_ type: GGUFValueType, _ offset: Int) -> JSONValue {
        func load<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type) -> Value {
            Value(littleEndian: file.bytes.loadUnaligned(fromByteOffset: offset, as: type))
        }
        switch type {
        case .u8: return .int(Int(load(UInt8.self)))
        case .i8: return .int(Int(load(Int8.self)))
        case .u16: return .int(Int(load(UInt16.self)))
        case .i16: return .int(Int(load(Int16.self)))
        case .u32: return .int(Int(load(UInt32.self)))
        case .i32: return .int(Int(load(Int32.self)))
        case .i64: return .int(Int(load(Int64.self)))
        case .u64:
            let value = load(UInt64.self)
            return Int(exactly: value).map(JSONValue.int) ?? .bigInt(String(value))
        case .f32: return .double(Double(Float(bitPattern: load(UInt32.self))))
        case .f64: return .double(Double(bitPattern: load(UInt64.self)))
        case .bool: return .bool(load(UInt8.self) != 0)
        case .string, .array: return .null
        }
    }
}
