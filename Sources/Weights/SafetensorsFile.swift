import JSON
package import Tensors

/// One safetensors file: a length, a JSON table of contents, and the tensors end to end.
///
/// Layout: u64 header length N, N bytes of JSON (`{"name": {"dtype", "shape", "data_offsets": [begin, end]}}` and `__metadata__`), data.
/// Source: the format description and the checks of `huggingface/safetensors`.
package struct SafetensorsFile: Sendable {
    package let file: MappedFile
    /// In the order of their data.
    package let records: [TensorRecord]
    /// `__metadata__`.
    package let metadata: [String: String]
    private let places: [String: Int]

    /// The reference implementation refuses longer headers too.
    static let maxHeaderByteCount = 100_000_000

    package init(path: String) throws(LoadError) {
        do {
            try self.init(file: try MappedFile(path: path))
        } catch let error as LoadError {
            throw error
        } catch let error as FileError {
            throw LoadError(error)
        } catch {
            throw .file(path: path, reason: "\(error)")
        }
    }

    package init(file: MappedFile) throws(LoadError) {
        var cursor = ByteCursor(file)
        let declared = try cursor.integer(UInt64.self, "the header length")
        guard declared <= UInt64(Self.maxHeaderByteCount) else {
            throw cursor.malformed("the header length is \(declared) bytes; this is no safetensors file, or a damaged one")
        }
        let header = try cursor.skip(Int(declared), "the header")
        var parsed = SafetensorsHeader(file: file, dataStart: header.upperBound)
        try parsed.parse(UnsafeRawBufferPointer(rebasing: file.bytes[header]))
        self.file = file
        records = try parsed.checkedRecords()
        metadata = parsed.metadata
        var places = [String: Int](minimumCapacity: records.count)
        for (place, record) in records.enumerated() {
            guard places.updateValue(place, forKey: record.name) == nil else {
                throw .malformed(file: file.path, tensor: record.name, reason: "appears twice in the header")
            }
        }
        self.places = places
    }

    package var names: [String] { records.map(\.name) }

    package func record(_ name: String) -> TensorRecord? { places[name].map { records[$0] } }

    package func tensor(_ name: String) throws(LoadError) -> TensorView {
        guard let record = record(name) else { throw .missingTensor(name: name, file: file.path) }
        return try record.view()
    }
}

extension DType {
    /// The name that safetensors headers use; nil where the format has none.
    package var safetensorsName: String? {
        switch self {
        case .f64: "F64"
        case .f32: "F32"
        case .f16: "F16"
        case .bf16: "BF16"
        case .f8_e4m3: "F8_E4M3"
        case .f8_e5m2: "F8_E5M2"
        case .f8_e8m0: "F8_E8M0"
        case .f4_e2m1: "F4"
        case .i64: "I64"
        case .i32: "I32"
        case .i16: "I16"
        case .i8: "I8"
        case .u64: "U64"
        case .u32: "U32"
        case .u16: "U16"
        case .u8: "U8"
        case .bool: "BOOL"
        case .c64: "C64"
        default: nil
        }
    }

    static let bySafetensorsName: [String: DType] = Dictionary(
        uniqueKeysWithValues: allCases.compactMap { type in type.safetensorsName.map { ($0, type) } })
}
