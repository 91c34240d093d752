/// How the next tokens of one request are chosen and when it ends. Plain values as the client gave them (or the server's defaults);
/// call `validate` before use: the engine does so on submission. Ranges and meaning follow vLLM.
package struct SamplingParameters: Sendable, Equatable {
    /// 0...2. Below 1e-5 is greedy; (0, 0.01) is raised to 0.01.
    package var temperature: Double = 1
    /// Keeps the k best logits (ties survive). 0 or -1 is off.
    package var topK: Int = 0
    /// Nucleus mass, (0, 1].
    package var topP: Double = 1
    /// Drops tokens less probable than `minP` times the best one, 0...1.
    package var minP: Double = 0
    /// Locally typical mass, (0, 1]; 1 is off.
    package var typicalP: Double = 1
    /// Keeps logits within n standard deviations of the best; nil or anything not above 0 is off.
    package var topNSigma: Double? = nil

    /// Above 0; over prompt and output. 1 is off.
    package var repetitionPenalty: Double = 1
    /// -2...2, per token already in the output.
    package var presencePenalty: Double = 0
    /// -2...2, times the token's count in the output.
    package var frequencyPenalty: Double = 0
    /// Added to logits before the penalties; clamped to -100...100.
    package var logitBias: [Int32: Double] = [:]
    /// Only these may be chosen; nil is all, empty is refused.
    package var allowedTokenIDs: [Int32]? = nil
    /// Token sequences that must not appear: the last token is masked when the ones before it end the output.
    package var badWords: [[Int32]] = []

    /// EOS and stop ids are masked until so many tokens are out.
    package var minTokens: Int = 0
    /// Tokens to generate; nil is up to the model's length. 0 only scores the prompt.
    package var maxTokens: Int? = nil
    /// End the output with this id as stop reason.
    package var stopTokenIDs: [Int32] = []
    /// End the output without a stop reason. From the model, not the client.
    package var eosTokenIDs: [Int32] = []
    package var ignoreEOS: Bool = false

    /// Choices; sample i draws with `seed + i`. Must be 1 when greedy.
    package var n: Int = 1
    /// nil draws a random seed on submission.
    package var seed: UInt64? = nil

    /// Best alternatives to report per generated token: nil none at all, 0 only the chosen one, -1 the whole vocabulary.
    package var logprobs: Int? = nil
    /// The same for each prompt token; bypasses prefix-cache reads.
    package var promptLogprobs: Int? = nil
    /// Report exactly these ids besides; needs `logprobs`.
    package var logprobTokenIDs: [Int32] = []

    package init() {}

    package init(greedy maxTokens: Int) {
        temperature = 0
        self.maxTokens = maxTokens
    }

    package var isGreedy: Bool { temperature < 1e-5 }
    /// What logits are divided by.
    package var effectiveTemperature: Double { isGreedy ? 1 : max(temperature, 0.01) }
}

/// Bounds the server sets on requests.
package struct SamplingLimits: Sendable, Equatable {
    package var maxLogprobs = 20
    /// Allows -1 (the whole vocabulary) for logprobs.
    package var allowFullVocabularyLogprobs = false
    package var maxChoices = 16_384
    package var maxBadWords = 128
    package var maxLogprobTokenIDs = 128

    package init() {}
}
