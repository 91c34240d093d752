package import JSON

/// Writes replies of `/v1/messages`: named events instead of bare ones, blocks of content instead of choices. One choice only.
package struct MessagesWriter: ReplyWriter {
    private let head: ReplyHead

    package init(head: ReplyHead) { self.head = head }

    package func opening(of index: Int, promptTokenIDs: [Int32]?, promptText: String?, usage: Usage?, into writer: inout JSONWriter) {
        writer.raw("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":")
        writer.string(head.id)
        writer.raw(",\"type\":\"message\",\"role\":\"assistant\",\"model\":")
        writer.string(head.model)
        writer.raw(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":")
        writer.messagesUsage(usage ?? Usage(promptTokens: 0))
        writer.raw("}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n")
    }

    package func chunk(_ delta: borrowing ChoiceDelta, into writer: inout JSONWriter) {
        if !delta.text.isEmpty {
            writer.raw("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"")
            writer.escaped(delta.text)
            writer.raw("\"}}\n\n")
        }
        guard let end = delta.end else { return }
        writer.raw("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n")
        writer.raw("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{")
        writer.messagesEnd(end)
        writer.raw("},\"usage\":")
        writer.messagesUsage(delta.usage ?? Usage(promptTokens: 0))
        writer.raw("}\n\n")
    }

    package func usageChunk(_ usage: Usage, into writer: inout JSONWriter) {}

    package func done(into writer: inout JSONWriter) { writer.raw("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n") }

    package func failure(_ error: APIError, into writer: inout JSONWriter) {
        writer.raw("event: error\ndata: ")
        Self.write(error, into: &writer)
        writer.raw("\n\n")
    }

    package func reply(_ choices: [ChoiceResult], usage: Usage, promptText: String?, into writer: inout JSONWriter) {
        writer.raw("{\"id\":")
        writer.string(head.id)
        writer.raw(",\"type\":\"message\",\"role\":\"assistant\",\"model\":")
        writer.string(head.model)
        writer.raw(",\"content\":[{\"type\":\"text\",\"text\":")
        writer.quoted(choices.first?.text ?? [])
        writer.raw("}],")
        writer.messagesEnd(choices.first?.end ?? ChoiceEnd(reason: "stop"))
        writer.raw(",\"usage\":")
        writer.messagesUsage(usage)
        writer.raw("}")
    }

    /// `{"type":"error","error":{"type","message"}}`.
    package static func write(_ error: APIError, into writer: inout JSONWriter) {
        let type: StaticString =
            switch error.status {
            case 401: "authentication_error"
            case 403: "permission_error"
            case 404: "not_found_error"
            case 413: "request_too_large"
            case 429: "rate_limit_error"
            case 503: "overloaded_error"
            case 400..<500: "invalid_request_error"
            default: "api_error"
            }
        writer.raw("{\"type\":\"error\",\"error\":{\"type\":\"")
        writer.raw(type)
        writer.raw("\",\"message\":")
        writer.string(error.message)
        writer.raw("}}")
    }
}

extension JSONWriter {
    fileprivate mutating func messagesUsage(_ usage: Usage) {
        raw("{\"input_tokens\":")
        int(usage.promptTokens)
        raw(",\"output_tokens\":")
        int(usage.completionTokens)
        raw("}")
    }

    fileprivate mutating func messagesEnd(_ end: ChoiceEnd) {
        switch (end.reason, end.cause) {
        case ("length", _): raw("\"stop_reason\":\"max_tokens\",\"stop_sequence\":null")
        case (_, .stopString(let text)?):
            raw("\"stop_reason\":\"stop_sequence\",\"stop_sequence\":")
            string(text)
        default: raw("\"stop_reason\":\"end_turn\",\"stop_sequence\":null")
        }
    }
}
