import JSON

/// What a load generator needs to know of one streamed chunk, of completions or chat.
package struct ReplyChunk: Sendable, Equatable {
    /// Text of the first choice, with its reasoning.
    package var text = ""
    package var hasChoice = false
    package var isFinished = false
    package var promptTokens: Int?
    package var completionTokens: Int?

    /// - Throws: `BenchError` for what is no chunk, and for errors that the server sends in the stream.
    package init(_ data: [UInt8]) throws(BenchError) {
        let json: JSONValue
        do {
            json = try JSONValue(parsing: data)
        } catch {
            throw BenchError("the stream holds something that is not JSON: \(Self.excerpt(data))")
        }
        if let error = json["error"], !error.isNull {
            throw BenchError("in the stream: \(error["message"]?.string ?? error.text)")
        }
        if let usage = json["usage"] {
            promptTokens = usage["prompt_tokens"]?.int
            completionTokens = usage["completion_tokens"]?.int
        }
        guard let choice = json["choices"]?.array?.first else { return }
        hasChoice = true
        isFinished = choice["finish_reason"]?.string != nil
        for part in [choice["text"], choice["delta"]?["reasoning_content"] ?? choice["delta"]?["reasoning"], choice["delta"]?["content"]] {
            if let part = part?.string { text += part }
        }
    }

    package static func excerpt(_ bytes: [UInt8]) -> String {
        String(String(decoding: bytes.prefix(800), as: UTF8.self).prefix(200))
    }
}
