internal import JSON

/// Native input: `prompt` or `messages` with vLLM's sampling parameters.
struct NativeRequest: Sendable {
    /// Of the API route that does the same.
    let path: String
    let stream: Bool
    let batching: TokenBatching
    /// Whether the answer's length was left to the default.
    let usesDefaultLength: Bool
    private let members: JSONObject
    private let sampling: JSONObject

    /// What `max_tokens` is where the input does not say, as in Runpod's worker.
    static let defaultLength = 100

    init(_ input: JSONObject, _ defaults: TokenBatching) throws(InputError) {
        var members = JSONObject()
        let applies = try Self.bool(input, "apply_chat_template") ?? false
        if let messages = input["messages"], !messages.isNull {
            guard messages.array != nil else { throw InputError("messages must be an array, not \(messages.kind)") }
            members["messages"] = messages
            path = "/v1/chat/completions"
        } else {
            guard let prompt = input["prompt"]?.string else {
                throw InputError("prompt must be a string, not \(input["prompt"]?.kind ?? "null")")
            }
            if applies {
                members["messages"] = .array([.object(JSONObject([("role", "user"), ("content", .string(prompt))]))])
                path = "/v1/chat/completions"
            } else {
                members["prompt"] = .string(prompt)
                path = "/v1/completions"
            }
        }
        stream = try Self.bool(input, "stream") ?? false
        batching = try Self.batching(input, defaults)
        sampling = try SamplingParams.checked(input["sampling_params"] ?? .null)
        usesDefaultLength = sampling["max_tokens"] == nil
        self.members = members
    }

    /// The API request whose texts make the native answer.
    var updatesBody: [UInt8] {
        var object = members
        for (key, value) in sampling.members where !SamplingParams.unshown.contains(key) { object[key] = value }
        if usesDefaultLength { object["max_tokens"] = .int(Self.defaultLength) }
        return Array(JSONValue.object(object).text.utf8)
    }

    /// The API request that is answered in the API's own words.
    var apiBody: [UInt8] {
        var object = members
        for (key, value) in sampling.members { object[key] = value }
        object["stream"] = .bool(stream)
        return Array(JSONValue.object(object).text.utf8)
    }

    /// Sizes of partial outputs; 0 and null stand for the default.
    private static func batching(_ input: JSONObject, _ defaults: TokenBatching) throws(InputError) -> TokenBatching {
        func number(_ key: String) throws(InputError) -> Double? {
            guard let value = input[key], !value.isNull else { return nil }
            guard let number = value.double, number >= 0, number.isFinite else { throw InputError("\(key) must be a number from 0 up, not \(value.text)") }
            return number == 0 ? nil : number
        }
        var batching = defaults
        if let most = try number("max_batch_size") { batching.most = Int(min(most, 1e6)) }
        if let first = try number("min_batch_size") { batching.first = Int(min(first, 1e6)) }
        if let growth = try number("batch_size_growth_factor") { batching.growth = growth }
        return batching
    }

    private static func bool(_ input: JSONObject, _ key: String) throws(InputError) -> Bool? {
        guard let value = input[key], !value.isNull else { return nil }
        guard let flag = value.bool else { throw InputError("\(key) must be true or false, not \(value.text)") }
        return flag
    }
}

/// vLLM's `SamplingParams`, as far as native input can say them.
enum SamplingParams {
    private static let known: Set<String> = [
        "n", "best_of", "presence_penalty", "frequency_penalty", "repetition_penalty", "temperature", "top_p", "top_k", "min_p", "seed", "stop",
        "stop_token_ids", "bad_words", "include_stop_str_in_output", "ignore_eos", "max_tokens", "min_tokens", "skip_special_tokens",
        "spaces_between_special_tokens", "truncate_prompt_tokens", "logit_bias", "allowed_token_ids", "structured_outputs", "guided_decoding",
        "logprobs", "prompt_logprobs", "detokenize",
    ]
    /// Options of beam search, with the values that ask for none of it.
    private static let beam: [String: [JSONValue]] = [
        "use_beam_search": [false], "length_penalty": [1, 1.0], "early_stopping": [false],
    ]
    /// Known, but nothing in a native answer would show them.
    static let unshown: Set<String> = ["logprobs", "prompt_logprobs", "detokenize"]

    /// The parameters without those that are null or say nothing.
    static func checked(_ value: JSONValue) throws(InputError) -> JSONObject {
        if value.isNull { return JSONObject() }
        guard let given = value.object else { throw InputError("sampling_params must be an object, not \(value.kind)") }
        var kept = JSONObject()
        for (key, value) in given.members where !value.isNull {
            if let neutral = beam[key] {
                guard neutral.contains(value) || value.double == 1 && key == "length_penalty" else {
                    throw InputError("sampling_params.\(key): beam search is not supported; leave it out")
                }
                continue
            }
            guard known.contains(key) else { throw InputError("Unexpected keyword argument '\(key)' in sampling_params") }
            if key == "detokenize", value == false { throw InputError("sampling_params.detokenize: answers without text are not supported") }
            kept[key] = value
        }
        return kept
    }
}
