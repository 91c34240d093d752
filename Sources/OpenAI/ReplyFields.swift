/// What completions and chat share besides sampling: how the prompt is cut and queued, and what the reply shows.
package struct ReplyFields: Sendable {
    /// nil is the first served model.
    package var model: String?
    package var stream: Bool
    /// One last chunk with the usage.
    package var includeUsage: Bool
    /// Usage on every chunk.
    package var continuousUsage: Bool
    /// Tokens per chunk; the first and the last chunk do not wait.
    package var streamInterval: Int
    package var returnTokenIDs: Bool
    package var tokensAsTokenIDs: Bool
    package var skipSpecialTokens: Bool
    package var spacesBetweenSpecialTokens: Bool
    /// Prompt tokens to keep; -1 is what leaves room for one more.
    package var truncatePromptTokens: Int?
    /// Whether truncation drops the beginning; nil is the tokenizer's own choice.
    package var truncateFromLeft: Bool?
    package var priority: Int
    package var requestID: String?
    package var cacheSalt: String?

    package init(_ body: Fields, serverStreamInterval: Int) throws(APIError) {
        model = try body.string("model")
        stream = try body.bool("stream") ?? false
        let options = try body.fields("stream_options")
        if options != nil, !stream {
            throw .invalid("stream_options may only be given when stream is true", parameter: "stream_options")
        }
        includeUsage = try options?.bool("include_usage") ?? false
        continuousUsage = try options?.bool("continuous_usage_stats") ?? false
        let interval = try body.int("stream_interval") ?? 1
        guard interval >= 1 else { throw .invalid("stream_interval must be at least 1", parameter: "stream_interval", value: String(interval)) }
        streamInterval = max(interval, serverStreamInterval)
        returnTokenIDs = try body.bool("return_token_ids") ?? false
        tokensAsTokenIDs = try body.bool("return_tokens_as_token_ids") ?? false
        skipSpecialTokens = try body.bool("skip_special_tokens") ?? true
        spacesBetweenSpecialTokens = try body.bool("spaces_between_special_tokens") ?? true
        truncatePromptTokens = try body.int("truncate_prompt_tokens")
        if let keep = truncatePromptTokens, keep < 1, keep != -1 {
            throw .invalid("truncate_prompt_tokens must be -1 or at least 1", parameter: "truncate_prompt_tokens", value: String(keep))
        }
        switch try body.string("truncation_side") {
        case nil: truncateFromLeft = nil
        case "left": truncateFromLeft = true
        case "right": truncateFromLeft = false
        case let side?: throw .invalid("truncation_side must be left or right", parameter: "truncation_side", value: side)
        }
        priority = try body.int("priority") ?? 0
        requestID = try body.string("request_id")
        cacheSalt = try body.string("cache_salt")
        if let salt = cacheSalt {
            guard !salt.isEmpty, salt.count <= 128, !salt.utf8.contains(where: { "@/\\\0".utf8.contains($0) }) else {
                throw .invalid(
                    "cache_salt must have 1 to 128 characters, none of them '@', '/', '\\' or NUL", parameter: "cache_salt", value: salt)
            }
        }
        _ = try body.string("user")
        _ = try body.string("session_id")
    }
}

/// How many tokens a request may generate.
package enum TokenBudget {
    /// - Parameters:
    ///   - requested: the client's figure, under the name `field`.
    ///   - defaultTokens: what holds without one; nil is all the room there is.
    /// - Returns: tokens to generate, clipped to the room that the prompt leaves.
    package static func resolve(
        requested: Int?, field: String, defaultTokens: Int?, promptTokens: Int, maxModelLength: Int, scoresPromptOnly: Bool
    ) throws(APIError) -> Int {
        if let requested {
            if requested > maxModelLength {
                throw .invalid(
                    "\(field) must not exceed the model's maximum context length of \(maxModelLength) tokens", parameter: field,
                    value: String(requested))
            }
            if requested < 0 || (requested == 0 && !scoresPromptOnly) {
                throw .invalid("\(field) must be at least 1", parameter: field, value: String(requested))
            }
            if requested == 0 {
                if promptTokens > maxModelLength { throw .promptTooLong(tokens: promptTokens, maxModelLength: maxModelLength) }
                return 0
            }
        }
        let room = maxModelLength - promptTokens
        if room < 1 { throw .promptTooLong(tokens: promptTokens, maxModelLength: maxModelLength) }
        return min(requested ?? defaultTokens ?? room, room)
    }
}
