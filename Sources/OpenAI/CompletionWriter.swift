package import JSON

/// Writes replies of `/v1/completions`.
package struct CompletionWriter: ReplyWriter {
    private let head: ReplyHead
    private let tokensAsTokenIDs: Bool
    /// `data: {"id":…,"choices":[{"index":`, the same for every chunk.
    private let prefix: [UInt8]
    /// The same up to `"choices":[`.
    private let bare: [UInt8]

    package init(head: ReplyHead, tokensAsTokenIDs: Bool) {
        self.head = head
        self.tokensAsTokenIDs = tokensAsTokenIDs
        var writer = JSONWriter(capacity: 160)
        writer.raw("data: ")
        writer.head(head, object: "text_completion")
        bare = writer.bytes
        writer.raw("{\"index\":")
        prefix = writer.bytes
    }

    package func opening(of index: Int, promptTokenIDs: [Int32]?, promptText: String?, usage: Usage?, into writer: inout JSONWriter) {}

    package func chunk(_ delta: borrowing ChoiceDelta, into writer: inout JSONWriter) {
        writer.raw(prefix)
        writer.int(delta.index)
        writer.raw(",\"text\":\"")
        writer.escaped(delta.text)
        writer.raw("\",\"logprobs\":")
        writer.completionLogprobs(delta.scored, asIDs: tokensAsTokenIDs)
        writer.raw(",")
        if let end = delta.end { writer.end(end) } else { writer.raw("\"finish_reason\":null,\"stop_reason\":null") }
        if let ids = delta.promptTokenIDs {
            writer.raw(",\"prompt_token_ids\":")
            writer.ids(ids)
        }
        if let ids = delta.tokenIDs {
            writer.raw(",\"token_ids\":")
            writer.ids(ids)
        }
        writer.closeChunk(usage: delta.usage, fingerprint: delta.end == nil ? nil : head.fingerprint)
    }

    package func usageChunk(_ usage: Usage, into writer: inout JSONWriter) {
        writer.raw(bare)
        writer.usageTail(usage, fingerprint: head.fingerprint)
    }

    package func reply(_ choices: [ChoiceResult], usage: Usage, promptText: String?, into writer: inout JSONWriter) {
        writer.head(head, object: "text_completion")
        for (place, choice) in choices.enumerated() {
            if place > 0 { writer.raw(",") }
            writer.raw("{\"index\":")
            writer.int(choice.index)
            writer.raw(",\"text\":")
            writer.quoted(choice.text)
            writer.raw(",\"logprobs\":")
            writer.completionLogprobs(choice.scored, asIDs: tokensAsTokenIDs)
            writer.raw(",")
            writer.end(choice.end)
            writer.raw(",\"token_ids\":")
            writer.ids(choice.tokenIDs)
            writer.raw(",\"prompt_logprobs\":")
            writer.promptLogprobs(choice.promptLogprobs)
            writer.raw(",\"prompt_token_ids\":")
            writer.ids(choice.promptTokenIDs)
            writer.raw("}")
        }
        writer.closeReply(usage: usage, head: head)
    }
}

extension JSONWriter {
    mutating func head(_ head: ReplyHead, object: StaticString) {
        raw("{\"id\":")
        string(head.id)
        raw(",\"object\":\"")
        raw(object)
        raw("\",\"created\":")
        int(head.created)
        raw(",\"model\":")
        string(head.model)
        raw(",\"choices\":[")
    }

    /// From inside the only choice of a chunk to the end of the event.
    mutating func closeChunk(usage: Usage?, fingerprint: String?) {
        raw("}]")
        if let usage {
            raw(",\"usage\":")
            self.usage(usage)
        }
        if let fingerprint {
            raw(",\"system_fingerprint\":")
            string(fingerprint)
        }
        raw("}\n\n")
    }

    mutating func usageTail(_ usage: Usage, fingerprint: String?) {
        raw("],\"usage\":")
        self.usage(usage)
        if let fingerprint {
            raw(",\"system_fingerprint\":")
            string(fingerprint)
        }
        raw("}\n\n")
    }

    mutating func closeReply(usage: Usage, head: ReplyHead) {
        raw("],\"service_tier\":null,\"system_fingerprint\":")
        optional(head.fingerprint)
        raw(",\"usage\":")
        self.usage(usage)
        raw("}")
    }
}
