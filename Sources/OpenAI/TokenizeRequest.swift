internal import JSON

/// The body of `POST /tokenize`: a text, or a conversation that is rendered first.
package struct TokenizeRequest: Sendable {
    package enum Input: Sendable {
        case text(String, addSpecialTokens: Bool)
        case conversation(Conversation)
    }

    package var model: String?
    package var input: Input
    package var returnTokenStrings: Bool

    package init(body bytes: [UInt8]) throws(APIError) {
        let body = try Fields(body: bytes)
        model = try body.string("model")
        returnTokenStrings = try body.bool("return_token_strs") ?? false
        if body["messages"] != nil {
            input = .conversation(try Conversation(body))
        } else {
            guard let prompt = try body.string("prompt") else { throw body.missing("prompt") }
            input = .text(prompt, addSpecialTokens: try body.bool("add_special_tokens") ?? true)
        }
    }
}

/// The body of `POST /detokenize`.
package struct DetokenizeRequest: Sendable {
    package var model: String?
    package var tokens: [Int32]

    package init(body bytes: [UInt8]) throws(APIError) {
        let body = try Fields(body: bytes)
        model = try body.string("model")
        guard let tokens = try body.tokenIDs("tokens") else { throw body.missing("tokens") }
        self.tokens = tokens
    }
}
