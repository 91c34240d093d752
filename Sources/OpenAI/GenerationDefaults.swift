package import JSON

/// What a request that leaves sampling fields out gets: the checkpoint's `generation_config.json`, then the operator's overrides, else
/// neutral values.
package struct GenerationDefaults: Sendable, Equatable {
    package var temperature: Double?
    package var topP: Double?
    package var topK: Int?
    package var minP: Double?
    package var repetitionPenalty: Double?
    package var presencePenalty: Double?
    package var frequencyPenalty: Double?
    /// `max_new_tokens`; replaces a missing max_tokens of chat requests.
    package var maxNewTokens: Int?
    /// End-of-sequence ids.
    package var eosTokenIDs: [Int32] = []

    package init() {}

    /// Reads the fields of a `generation_config.json` that are understood; others, and values of another type, are left alone.
    package init(generationConfig json: JSONValue) {
        adopt(json)
    }

    /// Takes over what `json` sets (as `--override-generation-config` does).
    package mutating func adopt(_ json: JSONValue) {
        if let value = json["temperature"]?.double { temperature = value }
        if let value = json["top_p"]?.double { topP = value }
        if let value = json["top_k"]?.int { topK = value }
        if let value = json["min_p"]?.double { minP = value }
        if let value = json["repetition_penalty"]?.double { repetitionPenalty = value }
        if let value = json["presence_penalty"]?.double { presencePenalty = value }
        if let value = json["frequency_penalty"]?.double { frequencyPenalty = value }
        if let value = json["max_new_tokens"]?.int, value > 0 { maxNewTokens = value }
        switch json["eos_token_id"] {
        case .array(let ids)?: eosTokenIDs = ids.compactMap { $0.int.flatMap(Int32.init(exactly:)) }
        case let value?: if let id = value.int.flatMap(Int32.init(exactly:)) { eosTokenIDs = [id] }
        case nil: break
        }
    }

    /// What differs from neutral, for the start-up log: `temperature=0.6, top_k=20`.
    package var summary: String {
        var parts: [String] = []
        func note(_ name: String, _ value: (some CustomStringConvertible)?) { if let value { parts.append("\(name)=\(value)") } }
        note("temperature", temperature)
        note("top_p", topP)
        note("top_k", topK)
        note("min_p", minP)
        note("repetition_penalty", repetitionPenalty)
        note("presence_penalty", presencePenalty)
        note("frequency_penalty", frequencyPenalty)
        note("max_new_tokens", maxNewTokens)
        return parts.joined(separator: ", ")
    }
}

/// Bounds on requests beyond those that the engine checks.
package struct RequestLimits: Sendable, Equatable {
    package var maxStopStrings = 4
    /// Bytes in one stop string.
    package var maxStopStringBytes = 2048
    package var maxPrompts = 1024
    /// Choices of one request, over all its prompts.
    package var maxChoices = 16_384

    package init() {}
}
