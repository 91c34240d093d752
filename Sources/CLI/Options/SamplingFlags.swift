import ArgumentParser
import OpenAI
import Sampling

/// How `chat` and `generate` choose tokens; what is left out comes from the checkpoint.
struct SamplingFlags: ParsableArguments {
    @Option(help: "Randomness, 0 to 2; 0 always takes the best token.")
    var temperature: Double?

    @Option(help: "Keep the best tokens that hold this much probability.")
    var topP: Double?

    @Option(help: "Keep so many best tokens; 0 keeps all.")
    var topK: Int?

    @Option(help: "Drop tokens less probable than this share of the best one's.")
    var minP: Double?

    @Option(help: "Divide the logits of tokens already seen.")
    var repetitionPenalty: Double?

    @Option(help: "Most tokens of an answer.")
    var maxTokens: Int?

    func parameters(_ defaults: GenerationDefaults, seed: UInt64?) -> SamplingParameters {
        var sampling = SamplingParameters()
        sampling.temperature = temperature ?? defaults.temperature ?? 1
        sampling.topP = topP ?? defaults.topP ?? 1
        sampling.topK = topK ?? defaults.topK ?? 0
        sampling.minP = minP ?? defaults.minP ?? 0
        sampling.repetitionPenalty = repetitionPenalty ?? defaults.repetitionPenalty ?? 1
        sampling.maxTokens = maxTokens ?? defaults.maxNewTokens
        sampling.eosTokenIDs = defaults.eosTokenIDs
        sampling.seed = seed
        return sampling
    }
}
