internal import JSON

/// The body of `POST /v1/chat/completions`.
package struct ChatRequest: Sendable {
    package var conversation: Conversation
    package var sampling: SamplingFields
    package var reply: ReplyFields
    package var maxTokens: Int?
    /// The field that gave `maxTokens`.
    package var maxTokensField: String
    package var logprobs: Bool
    package var topLogprobs: Int
    /// Begins the answer with the last message's text when it is the assistant's.
    package var echo: Bool
    package var returnPromptText: Bool

    package init(body bytes: [UInt8], limits: RequestLimits = RequestLimits(), serverStreamInterval: Int = 1) throws(APIError) {
        let body = try Fields(body: bytes)
        reply = try ReplyFields(body, serverStreamInterval: serverStreamInterval)
        conversation = try Conversation(body)
        sampling = try SamplingFields(body, limits: limits)
        if let completion = try body.int("max_completion_tokens") {
            maxTokens = completion
            maxTokensField = "max_completion_tokens"
        } else {
            maxTokens = try body.int("max_tokens")
            maxTokensField = "max_tokens"
        }
        logprobs = try body.bool("logprobs") ?? false
        topLogprobs = try body.int("top_logprobs") ?? 0
        if topLogprobs != 0, !logprobs {
            throw .invalid("top_logprobs needs logprobs to be true", parameter: "top_logprobs", value: String(topLogprobs))
        }
        echo = try body.bool("echo") ?? false
        returnPromptText = try body.bool("return_prompt_text") ?? false
        if reply.stream, let count = sampling.promptLogprobs, count != 0 {
            throw .invalid("prompt_logprobs cannot be streamed", parameter: "prompt_logprobs", value: String(count))
        }
        try Self.refuseMedia(body)
    }

    private static func refuseMedia(_ body: Fields) throws(APIError) {
        for name in ["audio", "media_io_kwargs", "mm_processor_kwargs"] where body[name] != nil { throw .unsupported(name) }
        if let modalities = try body.strings("modalities"), modalities.contains(where: { $0 != "text" }) {
            throw .unsupported("modalities", "output other than text")
        }
    }
}
