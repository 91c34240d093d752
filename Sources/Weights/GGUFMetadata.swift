import Tensors

/// Type of a metadata value, with the numbers that files use.
package enum GGUFValueType: UInt32, Sendable {
    case u8 = 0, i8, u16, i16, u32, i32, f32, bool, string, array, u64, i64, f64

    /// Bytes of a value; nil for strings and arrays.
    var byteCount: Int? {
        switch self {
        case .u8, .i8, .bool: 1
        case .u16, .i16: 2
        case .u32, .i32, .f32: 4
        case .u64, .i64, .f64: 8
        case .string, .array: nil
        }
    }
}

/// The keys and values of a GGUF file. Values are decoded when asked for; arrays of strings stay in the file (`GGUFStrings`).
package struct GGUFMetadata: Sendable {
    /// Where a value lies in the file, checked when the file was opened.
    struct Field: Sendable {
        let type: GGUFValueType
        /// Type and number of an array's elements.
        let element: GGUFValueType?
        let count: Int
        /// Bytes of the value; of an array, of its elements; of a string, of its text.
        let range: Range<Int>
    }

    let file: MappedFile
    let fields: [String: Field]
    /// Keys in the order of the file.
    package let keys: [String]

    init(_ cursor: inout ByteCursor, keyCount: Int) throws(LoadError) {
        file = cursor.file
        var fields = [String: Field](minimumCapacity: keyCount)
        var keys: [String] = []
        keys.reserveCapacity(keyCount)
        for index in 0..<keyCount {
            cursor.subject = "metadata key \(index)"
            let key = try cursor.string("the key", maxLength: GGUFFile.maxNameByteCount)
            cursor.subject = key
            let field = try Self.readField(&cursor)
            guard fields.updateValue(field, forKey: key) == nil else { throw cursor.malformed("appears twice") }
            keys.append(key)
        }
        cursor.subject = nil
        self.fields = fields
        self.keys = keys
    }

    private static func readType(_ cursor: inout ByteCursor) throws(LoadError) -> GGUFValueType {
        let number = try cursor.integer(UInt32.self, "the value's type")
        guard let type = GGUFValueType(rawValue: number) else { throw cursor.malformed("has the unknown value type \(number)") }
        return type
    }

    private static func readField(_ cursor: inout ByteCursor) throws(LoadError) -> Field {
        let type = try readType(&cursor)
        switch type {
        case .string: return Field(type: type, element: nil, count: 1, range: try cursor.stringRange("the string"))
        case .array:
            let element = try readType(&cursor)
            guard element != .array else { throw cursor.malformed("is an array of arrays, which is not supported") }
            // A string takes at least the 8 bytes of its length.
            let size = element.byteCount ?? 8
            let count = try cursor.count("the number of elements", limit: cursor.remaining / size)
            if element != .string {
                return Field(type: type, element: element, count: count, range: try cursor.skip(count * size, "the array"))
            }
            let start = cursor.offset
            for _ in 0..<count { _ = try cursor.stringRange("an array of strings") }
            return Field(type: type, element: element, count: count, range: start..<cursor.offset)
        default: return Field(type: type, element: nil, count: 1, range: try cursor.skip(type.byteCount ?? 0, "the value"))
        }
    }

    package var path: String { file.path }

    func withBytes<Result>(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        defer { withExtendedLifetime(file) {} }
        return body(UnsafeRawBufferPointer(rebasing: file.bytes[range]))
    }

    package func contains(_ key: String) -> Bool { fields[key] != nil }

    /// `general.architecture`: `llama`, `qwen3`.
    package var architecture: String {
        get throws(LoadError) { try root.string("general.architecture") }
    }

    /// Getters for full keys.
    package var root: ConfigReader { ConfigReader(source: .gguf(self, prefix: ""), file: path, path: "") }

    /// Getters for keys of the model's architecture: `try gguf.model.int("block_count")` reads `llama.block_count`.
    package var model: ConfigReader {
        get throws(LoadError) {
            let prefix = try architecture + "."
            return ConfigReader(source: .gguf(self, prefix: prefix), file: path, path: prefix)
        }
    }
}
