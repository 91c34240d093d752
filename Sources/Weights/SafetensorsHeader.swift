import JSON
import Tensors

/// Reads and checks the JSON header of a safetensors file.
struct SafetensorsHeader {
    let file: MappedFile
    /// Offset in the file of the first byte after the header.
    let dataStart: Int
    var metadata: [String: String] = [:]
    private var hasMetadata = false
    private var entries: [TensorRecord] = []

    init(file: MappedFile, dataStart: Int) {
        self.file = file
        self.dataStart = dataStart
    }

    mutating func parse(_ header: UnsafeRawBufferPointer) throws(LoadError) {
        let path = file.path
        do {
            try JSONReader.read(header.assumingMemoryBound(to: UInt8.self), options: .init(maxDepth: 16)) { reader in
                guard header.first == UInt8(ascii: "{") else { throw reader.error("the header does not start with '{'") }
                try reader.readObject { reader, name in
                    if name == "__metadata__" {
                        guard !hasMetadata else { throw malformed(name, "appears twice in the header") }
                        hasMetadata = true
                        try reader.readObject { reader, key in metadata[key] = try reader.readString() }
                    } else {
                        entries.append(try entry(name, &reader))
                    }
                }
                try reader.finish()
            }
        } catch let error as LoadError {
            throw error
        } catch {
            throw .malformed(file: path, tensor: nil, reason: "the header is not as it must be: \(error)")
        }
    }

    private func malformed(_ name: String, _ reason: String) -> LoadError { .malformed(file: file.path, tensor: name, reason: reason) }

    private func entry(_ name: String, _ reader: inout JSONReader) throws -> TensorRecord {
        var typeName: String?, shape: Shape?, offsets: [Int]?
        do {
            try reader.readObject { reader, key in
                switch key {
                case "dtype":
                    guard typeName == nil else { throw reader.error("dtype appears twice") }
                    typeName = try reader.readString()
                case "shape":
                    guard shape == nil else { throw reader.error("shape appears twice") }
                    let extents = try Self.integers(&reader, limit: Shape.maxRank)
                    shape = Shape(extents)
                case "data_offsets":
                    guard offsets == nil else { throw reader.error("data_offsets appears twice") }
                    offsets = try Self.integers(&reader, limit: 2)
                default: throw reader.error("unknown member '\(key)'")
                }
            }
        } catch let error as JSONError {
            throw malformed(name, "\(error)")
        }
        guard let typeName else { throw malformed(name, "has no dtype") }
        guard let shape else { throw malformed(name, "has no shape") }
        guard let offsets, offsets.count == 2 else { throw malformed(name, "data_offsets must be two integers") }
        guard let dtype = DType.bySafetensorsName[typeName] else {
            throw LoadError.unknownType(name: name, file: file.path, type: "'\(typeName)'")
        }
        let (begin, end) = (offsets[0], offsets[1])
        guard begin <= end, end <= file.byteCount - dataStart else {
            throw malformed(name, "data_offsets [\(begin), \(end)] are not inside the \(file.byteCount - dataStart) bytes of data")
        }
        guard let size = shape.byteCount(dtype) else { throw malformed(name, "shape \(shape) is not possible for \(typeName)") }
        guard size == end - begin else {
            throw malformed(name, "data_offsets span \(end - begin) bytes, but shape \(shape) of \(typeName) takes \(size)")
        }
        return TensorRecord(name: name, type: .known(dtype), shape: shape, offset: dataStart + begin, byteCount: size, file: file)
    }

    /// Integers from 0, written without fraction or exponent.
    private static func integers(_ reader: inout JSONReader, limit: Int) throws -> [Int] {
        var values: [Int] = []
        try reader.readArray { reader in
            guard case .int(let value) = try reader.readNumber(), value >= 0 else { throw reader.error("expected an integer from 0") }
            guard values.count < limit else { throw reader.error("more than \(limit) integers") }
            values.append(value)
        }
        return values
    }

    /// The tensors in the order of their data, which they must cover without overlaps, holes or a rest: a file that hides bytes is refused.
    func checkedRecords() throws(LoadError) -> [TensorRecord] {
        // Places are sorted instead of records, which are large; most files have them in order. Empty tensors come before what starts there.
        let places = entries.indices.sorted {
            let (a, b) = (entries[$0].offset, entries[$1].offset)
            return a != b ? a < b : entries[$0].byteCount < entries[$1].byteCount
        }
        let sorted = places.map { entries[$0] }
        var end = dataStart
        for record in sorted {
            guard record.offset == end else {
                throw malformed(record.name, record.offset < end ? "its data overlaps another tensor's" : "there is a hole before its data")
            }
            end = record.offset + record.byteCount
        }
        guard end == file.byteCount else {
            throw .malformed(file: file.path, tensor: nil, reason: "\(file.byteCount - end) bytes at the end belong to no tensor")
        }
        return sorted
    }
}
