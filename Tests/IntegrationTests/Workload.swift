import Engine
import Sampling

/// Requests of mixed length, and kinds of sampling that depend on more than the last logits.
enum Workload {
    static let count = 64
    /// Tokens of the longest prompt: more than one KV split of the attention kernels, which single requests spread over threads.
    static let longestPrompt = 600

    static func prompt(_ count: Int, seed: UInt64) -> [Int32] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in Int32.random(in: 0..<Int32(TinyModel.vocabulary), using: &random) }
    }

    /// 64 prompts of 1 to 600 tokens, most with a beginning in common with others, for 3 to 40 tokens each.
    static var mixed: [EngineRequest] {
        let shared = prompt(longestPrompt, seed: 99)
        return (0..<count).map { index in
            // Squared: many short prompts, a few long ones.
            let beginning = (longestPrompt - 20) * index * index / (count * count)
            let tokens = Array(shared.prefix(beginning)) + prompt(1 + index * 7 % 20, seed: UInt64(index))
            var request = EngineRequest(promptTokenIDs: tokens, sampling: sampling(index))
            request.sampling.maxTokens = 3 + index * 11 % 38
            return request
        }
    }

    /// Greedy, random and penalised sampling in turn, all with log-probabilities, some with the prompt's.
    static func sampling(_ index: Int) -> SamplingParameters {
        var sampling = SamplingParameters(greedy: 16)
        sampling.logprobs = 5
        if index % 9 == 4 { sampling.promptLogprobs = 2 }
        switch index % 4 {
        case 1:
            sampling.temperature = 0.9
            sampling.topP = 0.9
            sampling.seed = UInt64(index)
        case 2:
            sampling.temperature = 1.3
            sampling.topK = 40
            sampling.minP = 0.01
            sampling.repetitionPenalty = 1.2
            sampling.frequencyPenalty = 0.5
            sampling.seed = UInt64(1000 + index)
        case 3:
            sampling.temperature = 1
            sampling.presencePenalty = 0.7
            sampling.stopTokenIDs = [7, 8, 9]
            sampling.eosTokenIDs = [3]
            sampling.minTokens = 4
            sampling.seed = UInt64(index) << 40
        default: break
        }
        return sampling
    }
}
