/// Validated parameters turned into what the sampler's loops want. Immutable and shared by a request's choices.
package final class SamplingPlan: Sendable {
    package let isGreedy: Bool
    let inverseTemperature: Float
    let temperature: Double
    /// 0 is off.
    let topK: Int
    let topP: Double
    let minP: Double
    let typicalP: Double
    /// 0 is off.
    let topNSigma: Double

    let repetitionPenalty: Float
    let frequencyPenalty: Float
    let presencePenalty: Float
    /// Whether `SeenTokens` has to be kept, and whether the prompt counts.
    package let usesSeenTokens: Bool
    package let seesPrompt: Bool

    let bias: [(token: Int32, value: Float)]
    let allowed: [Int32]?
    let badWords: [[Int32]]
    let minTokens: Int
    /// EOS and stop ids, masked before `minTokens`.
    let enders: [Int32]

    package let logprobs: Int?
    package let promptLogprobs: Int?
    package let logprobTokenIDs: [Int32]

    package init(_ p: SamplingParameters) {
        isGreedy = p.isGreedy
        temperature = p.effectiveTemperature
        inverseTemperature = Float(1 / p.effectiveTemperature)
        topK = max(0, p.topK)
        topP = p.topP
        minP = p.minP
        typicalP = p.typicalP
        topNSigma = max(0, p.topNSigma ?? 0)
        repetitionPenalty = Float(p.repetitionPenalty)
        frequencyPenalty = Float(p.frequencyPenalty)
        presencePenalty = Float(p.presencePenalty)
        seesPrompt = p.repetitionPenalty != 1
        usesSeenTokens = p.repetitionPenalty != 1 || p.frequencyPenalty != 0 || p.presencePenalty != 0
        bias = p.logitBias.sorted { $0.key < $1.key }.map { ($0.key, Float(max(-100, min(100, $0.value)))) }
        allowed = p.allowedTokenIDs.map { Array(Set($0)).sorted() }
        badWords = p.badWords
        minTokens = p.minTokens
        enders = p.stopTokenIDs + (p.ignoreEOS ? [] : p.eosTokenIDs)
        logprobs = p.logprobs
        promptLogprobs = p.promptLogprobs
        logprobTokenIDs = p.logprobTokenIDs
    }

    /// Whether stages 2 to 5 write to the row at this output position.
    func changesRow(at position: Int) -> Bool {
        usesSeenTokens || !bias.isEmpty || allowed != nil || !badWords.isEmpty || (position < minTokens && !enders.isEmpty)
    }

    /// What the penalties have to know about a sequence that begins with these tokens.
    package func seen(prompt: some Sequence<Int32>, output: some Sequence<Int32>) -> SeenTokens {
        var seen = SeenTokens()
        if seesPrompt { for token in prompt { seen.notePrompt(token) } }
        if usesSeenTokens { for token in output { seen.noteOutput(token) } }
        return seen
    }
}
