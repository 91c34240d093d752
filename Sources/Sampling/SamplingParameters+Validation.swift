extension SamplingParameters {
    /// Checks every range and contradiction.
    /// - Parameter vocabularySize: ids must lie below it.
    /// - Throws: the first problem found, naming parameter and value.
    package func validate(vocabularySize: Int, limits: SamplingLimits = SamplingLimits()) throws(ParameterError) {
        try Self.require((0...2).contains(temperature), "temperature", temperature, "must be within 0...2")
        try Self.require(topK >= -1, "top_k", topK, "must be 0 or -1 (off), or at least 1")
        try Self.require(topP > 0 && topP <= 1, "top_p", topP, "must be within (0, 1]")
        try Self.require((0...1).contains(minP), "min_p", minP, "must be within 0...1")
        try Self.require(typicalP > 0 && typicalP <= 1, "typical_p", typicalP, "must be within (0, 1]")
        if let topNSigma { try Self.require(topNSigma.isFinite, "top_n_sigma", topNSigma, "must be finite") }
        try Self.require(
            repetitionPenalty > 0 && repetitionPenalty.isFinite, "repetition_penalty", repetitionPenalty, "must be finite and above 0")
        try Self.require((-2...2).contains(presencePenalty), "presence_penalty", presencePenalty, "must be within -2...2")
        try Self.require((-2...2).contains(frequencyPenalty), "frequency_penalty", frequencyPenalty, "must be within -2...2")
        try validateCounts(limits)
        try validateTokenIDs(vocabularySize: vocabularySize, limits)
    }

    private func validateCounts(_ limits: SamplingLimits) throws(ParameterError) {
        try Self.require(n >= 1 && n <= limits.maxChoices, "n", n, "must be within 1...\(limits.maxChoices)")
        try Self.require(n == 1 || !isGreedy, "n", n, "must be 1 when temperature is 0, since all choices would be equal")
        try Self.require(minTokens >= 0, "min_tokens", minTokens, "must not be negative")
        if let maxTokens {
            try Self.require(maxTokens >= 0, "max_tokens", maxTokens, "must not be negative")
            try Self.require(minTokens <= maxTokens, "min_tokens", minTokens, "must not exceed max_tokens, which is \(maxTokens)")
            try Self.require(maxTokens > 0 || n == 1, "max_tokens", maxTokens, "must be at least 1 when n is above 1")
        }
        try validateLogprobs(logprobs, "logprobs", limits)
        try validateLogprobs(promptLogprobs, "prompt_logprobs", limits)
        if !logprobTokenIDs.isEmpty {
            try Self.require(logprobs != nil, "logprob_token_ids", logprobTokenIDs.count, "needs logprobs to be set")
        }
        try Self.require(
            logprobTokenIDs.count <= limits.maxLogprobTokenIDs, "logprob_token_ids", logprobTokenIDs.count,
            "must not name more than \(limits.maxLogprobTokenIDs) ids")
    }

    private func validateLogprobs(_ count: Int?, _ name: String, _ limits: SamplingLimits) throws(ParameterError) {
        guard let count else { return }
        if count == -1, limits.allowFullVocabularyLogprobs { return }
        try Self.require(
            count >= 0 && count <= limits.maxLogprobs, name, count,
            "must be within 0...\(limits.maxLogprobs)\(limits.allowFullVocabularyLogprobs ? ", or -1" : "")")
    }

    private func validateTokenIDs(vocabularySize: Int, _ limits: SamplingLimits) throws(ParameterError) {
        func check(_ ids: some Sequence<Int32>, _ name: String) throws(ParameterError) {
            for id in ids where id < 0 || Int(id) >= vocabularySize {
                throw ParameterError(name, value: String(id), "must hold token ids below the vocabulary size, \(vocabularySize)")
            }
        }
        try check(logitBias.keys, "logit_bias")
        for bias in logitBias.values { try Self.require(!bias.isNaN, "logit_bias", bias, "must hold numbers") }
        if let allowedTokenIDs {
            try Self.require(!allowedTokenIDs.isEmpty, "allowed_token_ids", "[]", "must not be empty")
            try check(allowedTokenIDs, "allowed_token_ids")
        }
        try Self.require(
            badWords.count <= limits.maxBadWords, "bad_words", badWords.count, "must not hold more than \(limits.maxBadWords) sequences")
        for word in badWords {
            try Self.require(!word.isEmpty, "bad_words", "[]", "must not hold an empty sequence")
            try check(word, "bad_words")
        }
        try check(stopTokenIDs, "stop_token_ids")
        try check(logprobTokenIDs, "logprob_token_ids")
    }

    private static func require(
        _ holds: Bool, _ parameter: String, _ value: some CustomStringConvertible, _ expectation: @autoclosure () -> String
    ) throws(ParameterError) {
        if !holds { throw ParameterError(parameter, value: value.description, expectation()) }
    }
}
