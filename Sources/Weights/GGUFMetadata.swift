package import JSON
package import Tensors

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

    package var path: String { file.path }

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
