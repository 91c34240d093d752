package import JSON

/// Writes replies of `/v1/chat/completions`.
package struct ChatWriter: ReplyWriter {
    private let head: ReplyHead
    private let role: String
    private let topLogprobs: Int
    private let tokensAsTokenIDs: Bool
    private let prefix: [UInt8]
    private let bare: [UInt8]

    /// - Parameter topLogprobs: alternatives to show per token; -1 is all.
    package init(head: ReplyHead, role: String = "assistant", topLogprobs: Int, tokensAsTokenIDs: Bool) {
        self.head = head
        self.role = role
        self.topLogprobs = topLogprobs
        self.tokensAsTokenIDs = tokensAsTokenIDs
        var writer = JSONWriter(capacity: 160)
        writer.raw("data: ")
        writer.head(head, object: "chat.completion.chunk")
        bare = writer.bytes
        writer.raw("{\"index\":")
        prefix = writer.bytes
    }

    package func opening(of index: Int, promptTokenIDs: [Int32]?, promptText: String?, usage: Usage?, into writer: inout JSONWriter) {
        writer.raw(prefix)
        writer.int(index)
        writer.raw(",\"delta\":{\"role\":")
        writer.string(role)
        writer.raw(",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]")
        if let ids = promptTokenIDs {
            writer.raw(",\"prompt_token_ids\":")
            writer.ids(ids)
        }
        if let promptText {
            writer.raw(",\"prompt_text\":")
            writer.string(promptText)
        }
        if let usage {
            writer.raw(",\"usage\":")
            writer.usage(usage)
        }
        writer.raw("}\n\n")
    }

    package func chunk(_ delta: borrowing ChoiceDelta, into writer: inout JSONWriter) {
        writer.raw(prefix)
        writer.int(delta.index)
        writer.raw(",\"delta\":{\"content\":\"")
        writer.escaped(delta.text)
        writer.raw("\"},\"logprobs\":")
        writer.chatLogprobs(delta.scored, top: topLogprobs, asIDs: tokensAsTokenIDs)
        writer.raw(",")
        if let end = delta.end { writer.end(end) } else { writer.raw("\"finish_reason\":null") }
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
        writer.head(head, object: "chat.completion")
        for (place, choice) in choices.enumerated() {
            if place > 0 { writer.raw(",") }
            writer.raw("{\"index\":")
            writer.int(choice.index)
            writer.raw(",\"message\":{\"role\":")
            writer.string(role)
            writer.raw(",\"content\":")
            writer.quoted(choice.text)
            writer.raw(",\"refusal\":null,\"annotations\":null,\"audio\":null,\"function_call\":null,\"reasoning\":null},\"logprobs\":")
            writer.chatLogprobs(choice.scored, top: topLogprobs, asIDs: tokensAsTokenIDs)
            writer.raw(",")
            writer.end(choice.end)
            writer.raw(",\"token_ids\":")
            writer.ids(choice.tokenIDs)
            writer.raw("}")
        }
        let first = choices.first
        writer.raw("],\"prompt_logprobs\":")
        writer.promptLogprobs(first?.promptLogprobs)
        writer.raw(",\"prompt_token_ids\":")
        writer.ids(first?.promptTokenIDs)
        writer.raw(",\"prompt_text\":")
        writer.optional(promptText)
        writer.raw(",\"service_tier\":null,\"system_fingerprint\":")
        writer.optional(head.fingerprint)
        writer.raw(",\"usage\":")
        writer.usage(usage)
        writer.raw("}")
    }
}
