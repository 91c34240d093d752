internal import JSON
package import Sampling

/// The sampling and stopping fields that completions and chat share, as they stood in the request.
package struct SamplingFields: Sendable {
    package var n: Int
    package var temperature: Double?
    package var topP: Double?
    package var topK: Int?
    package var minP: Double?
    package var typicalP: Double?
    package var topNSigma: Double?
    package var presencePenalty: Double?
    package var frequencyPenalty: Double?
    package var repetitionPenalty: Double?
    package var seed: Int?
    package var minTokens: Int
    package var stop: [String]
    package var stopTokenIDs: [Int32]
    package var includeStopInOutput: Bool
    package var ignoreEOS: Bool
    package var logitBias: [Int32: Double]
    package var allowedTokenIDs: [Int32]?
    /// Still words: they become token sequences once a tokenizer is at hand.
    package var badWords: [String]
    package var promptLogprobs: Int?
    package var logprobTokenIDs: [Int32]

    /// Fields that change what is generated and are not built yet. Refused rather than ignored.
    private static let unsupported = [
        "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "guided_decoding_backend",
        "guided_whitespace_pattern", "use_beam_search", "repetition_detection", "kv_transfer_params", "ec_transfer_params", "vllm_xargs",
        "watermarking",
    ]

    package init(_ body: Fields, limits: RequestLimits) throws(APIError) {
        try body.refuse(Self.unsupported)
        if let budget = try body.int("thinking_token_budget"), budget != -1 { throw .unsupported("thinking_token_budget") }
        if let format = try body.fields("response_format") {
            guard let type = try format.string("type") else { throw format.missing("type") }
            guard type == "text" else { throw .unsupported("response_format", "response_format of type '\(type.clipped(to: 40))'") }
        }
        n = try body.int("n") ?? 1
        guard (1...limits.maxChoices).contains(n) else {
            throw .invalid("n must be within 1...\(limits.maxChoices)", parameter: "n", value: String(n))
        }
        if let bestOf = try body.int("best_of"), bestOf != n {
            throw .invalid("best_of is not supported; ask for n choices instead", parameter: "best_of", value: String(bestOf))
        }
        temperature = try body.double("temperature")
        topP = try body.double("top_p")
        topK = try body.int("top_k")
        minP = try body.double("min_p")
        typicalP = try body.double("typical_p")
        topNSigma = try body.double("top_n_sigma")
        presencePenalty = try body.double("presence_penalty")
        frequencyPenalty = try body.double("frequency_penalty")
        repetitionPenalty = try body.double("repetition_penalty")
        seed = try body.int("seed").flatMap { $0 == -1 ? nil : $0 }
        minTokens = try body.int("min_tokens") ?? 0
        stop = try Self.stopStrings(body, limits)
        stopTokenIDs = try body.tokenIDs("stop_token_ids") ?? []
        includeStopInOutput = try body.bool("include_stop_str_in_output") ?? false
        ignoreEOS = try body.bool("ignore_eos") ?? false
        logitBias = try Self.logitBias(body)
        allowedTokenIDs = try body.tokenIDs("allowed_token_ids")
        badWords = try Self.badWords(body)
        promptLogprobs = try body.int("prompt_logprobs")
        logprobTokenIDs = try body.tokenIDs("logprob_token_ids") ?? []
    }

    private static func stopStrings(_ body: Fields, _ limits: RequestLimits) throws(APIError) -> [String] {
        let stop = try body.strings("stop") ?? []
        if stop.count > limits.maxStopStrings {
            throw .invalid("stop may hold at most \(limits.maxStopStrings) strings", parameter: "stop", value: String(stop.count))
        }
        for text in stop {
            if text.isEmpty { throw .invalid("stop must not hold an empty string", parameter: "stop", value: "") }
            if text.utf8.count > limits.maxStopStringBytes {
                throw .invalid("a stop string may have at most \(limits.maxStopStringBytes) bytes", parameter: "stop", value: String(text.utf8.count))
            }
        }
        return stop
    }

    private static func logitBias(_ body: Fields) throws(APIError) -> [Int32: Double] {
        guard let fields = try body.fields("logit_bias") else { return [:] }
        var bias: [Int32: Double] = [:]
        for (key, value) in fields.object.members {
            guard let id = Int32(key), id >= 0 else {
                throw .invalid("logit_bias must map token ids to numbers", parameter: "logit_bias", value: key)
            }
            guard let amount = value.double else { throw fields.wrongType(key, wanted: "a number", found: value) }
            bias[id] = max(-100, min(100, amount))
        }
        return bias
    }

    private static func badWords(_ body: Fields) throws(APIError) -> [String] {
        guard body["bad_words"]?.string == nil else {
            throw body.wrongType("bad_words", wanted: "an array of strings", found: body["bad_words"] ?? .null)
        }
        let words = try body.strings("bad_words") ?? []
        if words.contains(where: \.isEmpty) { throw .invalid("bad_words must not hold an empty string", parameter: "bad_words", value: "") }
        return words
    }

    /// Fills in defaults. Bad words, token budget and log-probabilities are set by the caller.
    package func parameters(defaults: GenerationDefaults) -> SamplingParameters {
        var sampling = SamplingParameters()
        sampling.n = n
        sampling.temperature = temperature ?? defaults.temperature ?? 1
        sampling.topP = topP ?? defaults.topP ?? 1
        sampling.topK = topK ?? defaults.topK ?? 0
        sampling.minP = minP ?? defaults.minP ?? 0
        sampling.typicalP = typicalP ?? 1
        sampling.topNSigma = topNSigma
        sampling.presencePenalty = presencePenalty ?? defaults.presencePenalty ?? 0
        sampling.frequencyPenalty = frequencyPenalty ?? defaults.frequencyPenalty ?? 0
        // Who asks for temperature 0 wants the model's own best token: a penalty from the checkpoint is for sampled answers. (vLLM applies it.)
        let defaultPenalty = temperature == 0 ? nil : defaults.repetitionPenalty
        sampling.repetitionPenalty = repetitionPenalty ?? defaultPenalty ?? 1
        sampling.seed = seed.map { UInt64(bitPattern: Int64($0)) }
        sampling.minTokens = minTokens
        sampling.stopTokenIDs = stopTokenIDs
        sampling.eosTokenIDs = defaults.eosTokenIDs
        sampling.ignoreEOS = ignoreEOS
        sampling.logitBias = logitBias
        sampling.allowedTokenIDs = allowedTokenIDs
        sampling.promptLogprobs = promptLogprobs
        sampling.logprobTokenIDs = logprobTokenIDs
        return sampling
    }
}
