internal import JSON

/// The body of `POST /v1/completions`.
package struct CompletionRequest: Sendable {
    package enum Prompt: Sendable, Equatable {
        case text(String)
        case tokens([Int32])
    }

    /// At least one; each is generated on its own.
    package var prompts: [Prompt]
    package var sampling: SamplingFields
    package var reply: ReplyFields
    /// Null in the request also means 16.
    package var maxTokens: Int
    package var echo: Bool
    /// Best alternatives per token; -1 is the whole vocabulary.
    package var logprobs: Int?
    package var addSpecialTokens: Bool

    package init(body bytes: [UInt8], limits: RequestLimits = RequestLimits(), serverStreamInterval: Int = 1) throws(APIError) {
        let body = try Fields(body: bytes)
        reply = try ReplyFields(body, serverStreamInterval: serverStreamInterval)
        sampling = try SamplingFields(body, limits: limits)
        if body["prompt_embeds"] != nil { throw .unsupported("prompt_embeds") }
        if let suffix = try body.string("suffix"), !suffix.isEmpty {
            throw .invalid("suffix is not supported by this model", parameter: "suffix", value: suffix)
        }
        maxTokens = try body.int("max_tokens") ?? 16
        echo = try body.bool("echo") ?? false
        logprobs = try body.int("logprobs")
        addSpecialTokens = try body.bool("add_special_tokens") ?? true
        prompts = try Self.prompts(body, limits)
        if prompts.count > limits.maxChoices / sampling.n {
            throw .invalid(
                "\(prompts.count) prompts with \(sampling.n) choices each are more than \(limits.maxChoices) choices", parameter: "n",
                value: String(sampling.n))
        }
        if reply.stream, let count = sampling.promptLogprobs, count != 0 {
            throw .invalid("prompt_logprobs cannot be streamed", parameter: "prompt_logprobs", value: String(count))
        }
    }

    private static func prompts(_ body: Fields, _ limits: RequestLimits) throws(APIError) -> [Prompt] {
        guard let value = body["prompt"] else { throw body.missing("prompt") }
        let path = body.path(of: "prompt")
        if let text = value.string { return [.text(text)] }
        guard let elements = value.array else {
            throw body.wrongType("prompt", wanted: "a string, an array of strings, an array of token ids or an array of those", found: value)
        }
        guard let first = elements.first else { throw .invalid("prompt must not be empty", parameter: "prompt", value: "[]") }
        switch first {
        case .string: break
        case .array: break
        default: return [.tokens(try Fields.tokenIDs(elements, path: path))]
        }
        if elements.count > limits.maxPrompts {
            throw .invalid("prompt may hold at most \(limits.maxPrompts) prompts", parameter: "prompt", value: String(elements.count))
        }
        var prompts: [Prompt] = []
        for (index, element) in elements.enumerated() {
            switch element {
            case .string(let text): prompts.append(.text(text))
            case .array(let ids): prompts.append(.tokens(try Fields.tokenIDs(ids, path: "\(path).\(index)")))
            default:
                throw .malformed("\(path).\(index) must be a string or an array of token ids, not \(element.kind)", at: "\(path).\(index)")
            }
        }
        return prompts
    }
}
