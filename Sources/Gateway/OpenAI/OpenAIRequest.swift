internal import HTTPTypes
internal import JSON
internal import Jobs

/// A request to `/v2/{endpoint}/openai/{path}` as the job that it becomes.
struct OpenAIRequest {
    /// JSON text of `{"openai_route": …, "openai_input": …}`.
    var input: [UInt8]
    /// The client wants an event stream.
    var stream = false

    /// - path: after `/openai`, such as `/v1/chat/completions`.
    /// - body: nil for a GET.
    init(path: String, body: [UInt8]?) throws(ClientError) {
        var writer = JSONWriter(capacity: (body?.count ?? 0) + 64)
        writer.raw("{\"openai_route\":")
        writer.string(path)
        writer.raw(",\"openai_input\":")
        if let body, !body.isEmpty {
            stream = try Self.check(body)
            writer.bytes.append(contentsOf: body)
        } else {
            writer.raw("null")
        }
        writer.raw("}")
        input = writer.bytes
    }

    /// - Returns: the member `stream`.
    private static func check(_ body: [UInt8]) throws(ClientError) -> Bool {
        var stream = false
        do {
            guard String(validating: body, as: UTF8.self) != nil else { throw ClientError.bad("malformed JSON: the body is not valid UTF-8") }
            try body.withUnsafeBufferPointer { bytes in
                try JSONReader.read(bytes) { (reader: inout JSONReader) throws in
                    guard try reader.peek() == .object else { throw ClientError.bad("the request body must be a JSON object") }
                    try reader.readObject { (reader: inout JSONReader, key: String) throws in
                        if key == "stream" { stream = try reader.readValue().bool ?? false } else { try reader.skipValue() }
                    }
                    try reader.finish()
                }
            }
        } catch let error as ClientError {
            throw error
        } catch {
            throw .bad("malformed JSON: \(error)")
        }
        return stream
    }
}
