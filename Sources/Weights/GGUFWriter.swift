package import Tensors

/// Writes GGUF files, version 3, little-endian, data aligned to 32 bytes.
package enum GGUFWriter {
    /// Writes a file whose tensors are produced one at a time.
    /// - metadata: in this order; `general.alignment` may not be among them, because this writer chooses it.
    /// - data: called once for each entry with its index, in order.
    package static func write(
        to path: String, _ entries: [TensorEntry], metadata: [(String, GGUFValue)], data: (Int) throws -> TensorView
    ) throws(LoadError) {
        let (header, writer) = try plan(entries, metadata, path)
        var file = try OutputFile(path: path)
        try writer.write(header: header, data: data) { bytes throws(LoadError) in try file.write(bytes) }
        try file.finish()
    }

    /// Writes tensors that are at hand.
    package static func write(to path: String, _ tensors: [(String, TensorView)], metadata: [(String, GGUFValue)]) throws(LoadError) {
        try write(to: path, tensors.map { TensorEntry($0, $1.dtype, $1.shape) }, metadata: metadata) { tensors[$0].1 }
    }

    /// The bytes of a file.
    package static func bytes(_ tensors: [(String, TensorView)], metadata: [(String, GGUFValue)]) throws(LoadError) -> [UInt8] {
        let (header, writer) = try plan(tensors.map { TensorEntry($0, $1.dtype, $1.shape) }, metadata, "memory")
        var output: [UInt8] = []
        try writer.write(header: header, data: { tensors[$0].1 }) { bytes throws(LoadError) in output.append(contentsOf: bytes) }
        return output
    }

    private static func plan(
        _ entries: [TensorEntry], _ metadata: [(String, GGUFValue)], _ path: String
    ) throws(LoadError) -> (header: [UInt8], TensorWriter) {
        let sizes = try TensorWriter.sizes(entries, path: path)
        let alignment = GGUFFile.defaultAlignment
        var header = Array("GGUF".utf8), keys: Set<String> = []
        GGUFValue.append(UInt32(3), &header)
        GGUFValue.append(UInt64(entries.count), &header)
        GGUFValue.append(UInt64(metadata.count), &header)
        for (key, value) in metadata {
            guard keys.insert(key).inserted, key != "general.alignment" else {
                throw .malformed(file: path, tensor: key, reason: "cannot be written: the key is repeated or reserved")
            }
            GGUFValue.append(key, &header)
            value.write(into: &header)
        }
        var layout: [(index: Int, offset: Int)] = [], offset = 0
        for (index, entry) in entries.enumerated() {
            guard let type = entry.dtype.ggmlType else {
                throw .unknownType(name: entry.name, file: path, type: "\(entry.dtype), which GGUF files cannot hold")
            }
            guard entry.shape.rank <= 4 else { throw .malformed(file: path, tensor: entry.name, reason: "has more than four dimensions") }
            GGUFValue.append(entry.name, &header)
            GGUFValue.append(UInt32(entry.shape.rank), &header)
            for extent in entry.shape.dimensions.reversed() { GGUFValue.append(UInt64(extent), &header) }
            GGUFValue.append(type, &header)
            GGUFValue.append(UInt64(offset), &header)
            layout.append((index, offset))
            let (end, overflow) = offset.addingReportingOverflow(sizes[index])
            guard !overflow, end <= Int.max - alignment else {
                throw .malformed(file: path, tensor: entry.name, reason: "the file would be too large")
            }
            offset = (end + alignment - 1) & ~(alignment - 1)
        }
        header += [UInt8](repeating: 0, count: -header.count & (alignment - 1))
        return (header, TensorWriter(path: path, layout: layout, entries: entries, finalAlignment: alignment))
    }
}
