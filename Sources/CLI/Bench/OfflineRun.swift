import Engine
import Sampling

/// What the benchmarks of a model in this process share.
enum OfflineRun {
    /// Ids of random prompts; the lowest are often special tokens, which do no harm.
    static func vocabulary(_ session: ModelSession) -> Range<Int32> {
        0..<Int32(clamping: max(1, session.engine.vocabularySize))
    }

    /// Greedy, of exactly the wanted length.
    /// - Parameter ids: of a text prompt.
    static func request(_ prompt: BenchPrompt, _ ids: [Int32]) -> EngineRequest {
        var sampling = SamplingParameters(greedy: prompt.outputTokens)
        sampling.ignoreEOS = true
        sampling.seed = 0
        if case .tokens(let own) = prompt.content { return EngineRequest(promptTokenIDs: own, sampling: sampling) }
        return EngineRequest(promptTokenIDs: ids, sampling: sampling)
    }

    /// Reads a request to its end.
    static func outputTokens(_ outputs: RequestOutputs) async throws -> Int {
        var count = 0
        for try await event in outputs {
            if case .finished(let finish) = event { count += finish.outputTokens }
        }
        return count
    }
}
