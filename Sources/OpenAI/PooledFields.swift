internal import JSON

/// What the routes of embedding and classification models share: which model, how inputs are cut, how rows are finished and written.
package struct PooledFields: Sendable {
    /// nil is the first served model.
    package var model: String?
    /// Tokens of an input to keep; -1 is what the model takes.
    package var truncatePromptTokens: Int?
    /// Whether truncation drops the beginning; nil is the tokenizer's own choice.
    package var truncateFromLeft: Bool?
    package var addSpecialTokens: Bool
    /// Whether the model's last function (length 1, softmax, sigmoid) is applied; nil is the route's default.
    package var useActivation: Bool?
    package var asBase64: Bool
    package var priority: Int
    package var requestID: String?
    package var cacheSalt: String?

    package init(_ body: Fields) throws(APIError) {
        let reply = try ReplyFields(body, serverStreamInterval: 1)
        model = reply.model
        truncatePromptTokens = reply.truncatePromptTokens
        truncateFromLeft = reply.truncateFromLeft
        priority = reply.priority
        requestID = reply.requestID
        cacheSalt = reply.cacheSalt
        if reply.stream { throw .invalid("stream is not possible here", parameter: "stream", value: "true") }
        addSpecialTokens = try body.bool("add_special_tokens") ?? (body["messages"] == nil)
        for name in ["use_activation", "normalize", "activation"] where useActivation == nil { useActivation = try body.bool(name) }
        switch try body.string("encoding_format") {
        case nil, "float": asBase64 = false
        case "base64": asBase64 = true
        case let format?: throw .invalid("encoding_format must be float or base64", parameter: "encoding_format", value: format)
        }
        if let type = try body.string("embed_dtype"), type != "float32" {
            throw .invalid("embed_dtype must be float32", parameter: "embed_dtype", value: type)
        }
        if let order = try body.string("endianness"), order != "native", order != "little" {
            throw .invalid("endianness must be native or little", parameter: "endianness", value: order)
        }
        try body.refuse(["mm_processor_kwargs", "embed_overrides"])
    }
}

/// Texts to be pooled.
package enum PooledInput: Sendable {
    case text(String)
    case tokens([Int32])
    case conversation(Conversation)

    /// `input`: a string, a list of strings, a list of token ids or a list of such lists; or `messages`, a conversation as one text.
    package static func list(_ body: Fields) throws(APIError) -> [PooledInput] {
        if body["messages"] != nil {
            var conversation = try Conversation(body)
            // Nothing answers here.
            if try body.bool("add_generation_prompt") == nil { conversation.addGenerationPrompt = false }
            return [.conversation(conversation)]
        }
        guard let value = body["input"] else { throw body.missing("input") }
        let path = body.path(of: "input")
        if let text = value.string { return [.text(text)] }
        guard let elements = value.array else {
            throw body.wrongType("input", wanted: "a string, an array of strings, an array of token ids or an array of those", found: value)
        }
        guard let first = elements.first else { throw .invalid("input must not be empty", parameter: "input", value: "[]") }
        switch first {
        case .string, .array: break
        default: return [.tokens(try Fields.tokenIDs(elements, path: path))]
        }
        var inputs: [PooledInput] = []
        inputs.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            switch element {
            case .string(let text): inputs.append(.text(text))
            case .array(let ids): inputs.append(.tokens(try Fields.tokenIDs(ids, path: "\(path).\(index)")))
            default:
                throw .malformed("\(path).\(index) must be a string or an array of token ids, not \(element.kind)", at: "\(path).\(index)")
            }
        }
        return inputs
    }
}
