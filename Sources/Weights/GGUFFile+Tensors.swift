import Tensors

extension GGUFFile {
    private static let maxDimensions = 4
    static let maxNameByteCount = 65535

    static func readTensors(_ cursor: inout ByteCursor, _ count: Int, _ alignment: Int) throws(LoadError) -> [TensorRecord] {
        struct Entry { let name: String, type: StoredType, shape: Shape, offset: UInt64, byteCount: Int }
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        var names = Set<String>(minimumCapacity: count)
        for index in 0..<count {
            cursor.subject = "tensor \(index)"
            let name = try cursor.string("the tensor's name", maxLength: maxNameByteCount)
            cursor.subject = name
            guard names.insert(name).inserted else { throw cursor.malformed("appears twice") }
            let shape = try readShape(&cursor)
            let number = try cursor.integer(UInt32.self, "the tensor's type")
            let offset = try cursor.integer(UInt64.self, "the tensor's offset")
            guard offset % UInt64(alignment) == 0 else { throw cursor.malformed("offset \(offset) is no multiple of \(alignment)") }
            guard let dtype = DType(ggmlType: number) else {
                entries.append(Entry(name: name, type: .unknown("ggml type \(number)"), shape: shape, offset: offset, byteCount: 0))
                continue
            }
            guard let byteCount = shape.byteCount(dtype) else { throw cursor.malformed("shape \(shape) is not possible for \(dtype)") }
            entries.append(Entry(name: name, type: .known(dtype), shape: shape, offset: offset, byteCount: byteCount))
        }
        // The data starts at the next multiple of the alignment after the table. The alignment is below 2³¹.
        let start = (cursor.offset + alignment - 1) & ~(alignment - 1)
        var records: [TensorRecord] = []
        records.reserveCapacity(count)
        for entry in entries {
            cursor.subject = entry.name
            let room = cursor.file.byteCount - start
            guard let offset = Int(exactly: entry.offset), offset <= room, entry.byteCount <= room - offset else {
                throw cursor.malformed("\(entry.byteCount) bytes at offset \(entry.offset) reach past the end; is the file complete?")
            }
            records.append(
                TensorRecord(
                    name: entry.name, type: entry.type, shape: entry.shape, offset: start + offset, byteCount: entry.byteCount,
                    file: cursor.file))
        }
        try checkOverlaps(records)
        return records
    }

    /// Extents innermost first in the file.
    private static func readShape(_ cursor: inout ByteCursor) throws(LoadError) -> Shape {
        let rank = try cursor.integer(UInt32.self, "the tensor's number of dimensions")
        guard rank <= maxDimensions else { throw cursor.malformed("has \(rank) dimensions; at most \(maxDimensions) are possible") }
        var extents: [Int] = []
        for _ in 0..<rank {
            let extent = try cursor.integer(UInt64.self, "the tensor's dimensions")
            guard let extent = Int(exactly: extent) else { throw cursor.malformed("has a dimension of \(extent)") }
            extents.append(extent)
        }
        guard let shape = Shape(extents.reversed()), shape.elementCount != nil else {
            throw cursor.malformed("dimensions \(extents) are too large")
        }
        return shape
    }

    private static func checkOverlaps(_ records: [TensorRecord]) throws(LoadError) {
        let sorted = records.filter { $0.byteCount > 0 }.sorted { $0.offset < $1.offset }
        for (record, next) in zip(sorted, sorted.dropFirst()) where record.offset + record.byteCount > next.offset {
            throw .malformed(file: next.file.path, tensor: next.name, reason: "its data overlaps that of '\(record.name)'")
        }
    }
}

extension DType {
    /// The type with this number in ggml's `enum ggml_type`; nil for numbers that we do not know.
    package init?(ggmlType number: UInt32) {
        guard let type = Self.byGGMLType[number] else { return nil }
        self = type
    }

    /// The number in ggml's `enum ggml_type`; nil where ggml has no such type.
    package var ggmlType: UInt32? {
        switch self {
        case .f32: 0
        case .f16: 1
        case .q4_0: 2
        case .q4_1: 3
        case .q5_0: 6
        case .q5_1: 7
        case .q8_0: 8
        case .q8_1: 9
        case .q2_k: 10
        case .q3_k: 11
        case .q4_k: 12
        case .q5_k: 13
        case .q6_k: 14
        case .q8_k: 15
        case .iq2_xxs: 16
        case .iq2_xs: 17
        case .iq3_xxs: 18
        case .iq1_s: 19
        case .iq4_nl: 20
        case .iq3_s: 21
        case .iq2_s: 22
        case .iq4_xs: 23
        case .i8: 24
        case .i16: 25
        case .i32: 26
        case .i64: 27
        case .f64: 28
        case .iq1_m: 29
        case .bf16: 30
        case .tq1_0: 34
        case .tq2_0: 35
        case .mxfp4: 39
        case .nvfp4: 40
        case .q1_0: 41
        case .q2_0: 42
        default: nil
        }
    }

    private static let byGGMLType: [UInt32: DType] = Dictionary(
        uniqueKeysWithValues: allCases.compactMap { type in type.ggmlType.map { ($0, type) } })
}
