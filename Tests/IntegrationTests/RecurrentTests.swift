import Engine
import Sampling
import Testing

extension IntegrationTests {
    /// States survive what happens to blocks: sequences that lose theirs and are computed again, or find the state of a block that others filled.
    @Suite struct RecurrentTests {
        /// Short prompts, most of which begin alike, with answers over many blocks.
        private static var growing: [EngineRequest] {
            let shared = Workload.prompt(40, seed: 5)
            return (0..<24).map { index in
                var request = EngineRequest(
                    promptTokenIDs: Array(shared.prefix(index * 5 / 3)) + Workload.prompt(1 + index % 7, seed: UInt64(index)),
                    sampling: SamplingParameters(greedy: 100 + index))
                request.sampling.logprobs = 5
                if index % 2 == 1 {
                    request.sampling.temperature = 1
                    request.sampling.seed = UInt64(index)
                }
                return request
            }
        }

        @Test(arguments: [TinyModel.lfm2, .qwen3Next], [false, true])
        func sameBitsAfterPreemption(_ tiny: TinyModel, _ prefixCaching: Bool) async throws {
            try await tiny.withCheckpoint { path in
                let requests = Self.growing
                let alone = try await EquivalenceTests.alone(path, requests)
                #expect(Set(alone.map { $0.tokens[0] ?? [] }).count == requests.count)
                var serving = Serving()
                serving.prefixCaching = prefixCaching
                serving.tokensPerStep = 40
                serving.blockCount = 60
                let (snapshot, _) = try await EquivalenceTests.serve(path, serving, requests, expecting: alone, "small pool")
                #expect(snapshot.preemptions > 10)
                if prefixCaching { #expect(snapshot.prefixCacheHits > 100) }
            }
        }
    }
}
