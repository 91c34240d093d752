import JSON
package import Tensors

/// Writes safetensors files.
package enum SafetensorsWriter {
    /// Writes a file whose tensors are produced one at a time.
    /// - data: called once for each entry with its index, in the file's order: types with wide alignment first.
    package static func write(
        to path: String, _ entries: [TensorEntry], metadata: [(String, String)] = [], data: (Int) throws -> TensorView
    ) throws(LoadError) {
        let (header, writer) = try plan(entries, metadata, path)
        var file = try OutputFile(path: path)
        try writer.write(header: header, data: data) { bytes throws(LoadError) in try file.write(bytes) }
        try file.finish()
    }

    /// Writes tensors that are at hand.
    package static func write(to path: String, _ tensors: [(String, TensorView)], metadata: [(String, String)] = []) throws(LoadError) {
        try write(to: path, tensors.map { TensorEntry($0, $1.dtype, $1.shape) }, metadata: metadata) { tensors[$0].1 }
    }

    /// The bytes of a file.
    package static func bytes(_ tensors: [(String, TensorView)], metadata: [(String, String)] = []) throws(LoadError) -> [UInt8] {
        let (header, writer) = try plan(tensors.map { TensorEntry($0, $1.dtype, $1.shape) }, metadata, "memory")
        var output: [UInt8] = []
        try writer.write(header: header, data: { tensors[$0].1 }) { bytes throws(LoadError) in output.append(contentsOf: bytes) }
        return output
    }

    private static func plan(
        _ entries: [TensorEntry], _ metadata: [(String, String)], _ path: String
    ) throws(LoadError) -> (header: [UInt8], TensorWriter) {
        let sizes = try TensorWriter.sizes(entries, path: path)
        // The format allows no padding between tensors, so those that need the widest alignment come first.
        let order = entries.indices.sorted { (-entries[$0].dtype.alignment, $0) < (-entries[$1].dtype.alignment, $1) }
        var layout: [(index: Int, offset: Int)] = [], offset = 0
        var json = JSONWriter()
        json.raw("{")
        if !metadata.isEmpty {
            json.raw("\"__metadata__\":")
            json.value(.object(JSONObject(metadata.map { ($0.0, .string($0.1)) })))
            if !order.isEmpty { json.raw(",") }
        }
        for (place, index) in order.enumerated() {
            let entry = entries[index]
            guard let type = entry.dtype.safetensorsName else {
                throw .unknownType(name: entry.name, file: path, type: "\(entry.dtype), which safetensors files cannot hold")
            }
            let (end, overflow) = offset.addingReportingOverflow(sizes[index])
            guard !overflow else { throw .malformed(file: path, tensor: entry.name, reason: "the file would be too large") }
            if place > 0 { json.raw(",") }
            json.string(entry.name)
            json.raw(":")
            json.value([
                "dtype": .string(type), "shape": .array(entry.shape.dimensions.map { .int($0) }),
                "data_offsets": [.int(offset), .int(end)],
            ])
            layout.append((index, offset))
            offset = end
        }
        json.raw("}")
        // Spaces up to a multiple of 8 keep the data aligned.
        while json.bytes.count % 8 != 0 { json.raw(" ") }
        var header: [UInt8] = []
        withUnsafeBytes(of: UInt64(json.bytes.count).littleEndian) { header.append(contentsOf: $0) }
        header += json.bytes
        return (header, TensorWriter(path: path, layout: layout, entries: entries, finalAlignment: 1))
    }
}
