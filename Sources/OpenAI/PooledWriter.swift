package import JSON

/// Writes replies of embedding and classification models.
package struct PooledWriter: Sendable {
    private let id: String
    private let model: String
    /// Seconds since 1970.
    private let created: Int
    private let promptTokens: Int

    package init(id: String, model: String, created: Int, promptTokens: Int) {
        self.id = id
        self.model = model
        self.created = created
        self.promptTokens = promptTokens
    }

    package func embeddings(_ rows: [[Float]], asBase64: Bool, into writer: inout JSONWriter) {
        list("embedding", rows, into: &writer) { writer, _, row in
            writer.raw(",\"embedding\":")
            writer.vector(row, asBase64: asBase64)
        }
    }

    /// - Parameter rows: `[inputs][rows]`; single rows are written without a list around them.
    package func pooling(_ rows: [[[Float]]], isTokenwise: Bool, asBase64: Bool, into writer: inout JSONWriter) {
        list("pooling", rows, into: &writer) { writer, _, rows in
            writer.raw(",\"data\":")
            if asBase64 { return writer.vector(rows.flatMap { $0 }, asBase64: true) }
            if isTokenwise { writer.raw("[") }
            for (index, row) in rows.enumerated() {
                if index > 0 { writer.raw(",") }
                writer.vector(row, asBase64: false)
            }
            if isTokenwise { writer.raw("]") }
        }
    }

    /// - Parameter labels: names of the classes, as many as a row has columns.
    package func classes(_ rows: [[Float]], labels: [String], into writer: inout JSONWriter) {
        list(nil, rows, into: &writer) { writer, _, row in
            let best = row.indices.max { row[$0] < row[$1] } ?? 0
            writer.raw(",\"label\":")
            writer.optional(best < labels.count ? labels[best] : nil)
            writer.raw(",\"probs\":")
            writer.vector(row, asBase64: false)
            writer.raw(",\"num_classes\":")
            writer.int(row.count)
        }
    }

    package func scores(_ scores: [Float], into writer: inout JSONWriter) {
        list("score", scores, into: &writer) { writer, _, score in
            writer.raw(",\"score\":")
            writer.float(score)
        }
    }

    /// - Parameter best: documents in the order of the reply.
    package func ranking(_ best: [(index: Int, score: Float)], documents: [String], into writer: inout JSONWriter) {
        writer.raw("{\"id\":")
        writer.string(id)
        writer.raw(",\"model\":")
        writer.string(model)
        writer.raw(",\"usage\":{\"prompt_tokens\":")
        writer.int(promptTokens)
        writer.raw(",\"total_tokens\":")
        writer.int(promptTokens)
        writer.raw("},\"results\":[")
        for (place, entry) in best.enumerated() {
            if place > 0 { writer.raw(",") }
            writer.raw("{\"index\":")
            writer.int(entry.index)
            writer.raw(",\"document\":{\"text\":")
            writer.string(documents[entry.index])
            writer.raw(",\"multi_modal\":null},\"relevance_score\":")
            writer.float(entry.score)
            writer.raw("}")
        }
        writer.raw("]}")
    }

    /// A list object with an entry for each element, whose `index` and `object` are written here and the rest by `rest`.
    private func list<Element>(
        _ object: String?, _ elements: [Element], into writer: inout JSONWriter, rest: (inout JSONWriter, Int, Element) -> Void
    ) {
        writer.raw("{\"id\":")
        writer.string(id)
        writer.raw(",\"object\":\"list\",\"created\":")
        writer.int(created)
        writer.raw(",\"model\":")
        writer.string(model)
        writer.raw(",\"data\":[")
        for (index, element) in elements.enumerated() {
            writer.raw(index > 0 ? ",{\"index\":" : "{\"index\":")
            writer.int(index)
            if let object {
                writer.raw(",\"object\":")
                writer.string(object)
            }
            rest(&writer, index, element)
            writer.raw("}")
        }
        writer.raw("],\"usage\":")
        writer.usage(Usage(promptTokens: promptTokens))
        writer.raw("}")
    }
}

extension JSONWriter {
    /// Numbers, or the base64 text of their float32 bytes, little-endian.
    fileprivate mutating func vector(_ values: [Float], asBase64: Bool) {
        guard asBase64 else {
            raw("[")
            for (index, value) in values.enumerated() {
                if index > 0 { raw(",") }
                float(value)
            }
            return raw("]")
        }
        var source: [UInt8] = []
        source.reserveCapacity(values.count * 4)
        for value in values { withUnsafeBytes(of: value.bitPattern.littleEndian) { source.append(contentsOf: $0) } }
        raw("\"")
        base64(source)
        raw("\"")
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Appends RFC 4648's text of the bytes, padded.
    mutating func base64(_ source: [UInt8]) {
        bytes.reserveCapacity(bytes.count + (source.count + 2) / 3 * 4)
        for start in stride(from: 0, to: source.count, by: 3) {
            let count = min(3, source.count - start)
            var group: UInt32 = 0
            for place in 0..<3 { group = group << 8 | (place < count ? UInt32(source[start + place]) : 0) }
            for place in 0..<4 {
                bytes.append(place <= count ? Self.alphabet[Int(group >> UInt32(18 - 6 * place) & 63)] : UInt8(ascii: "="))
            }
        }
    }
}
