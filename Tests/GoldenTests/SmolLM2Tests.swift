import Compute
import Golden
import Testing

/// The default model's greedy text against Transformers on the same weights: 20 prompts of 64 tokens, up to near ties.
@Suite(.serialized, .enabled(if: Fixtures.defaultModel != nil, "the default model is not in the models folder (make model gets it): 2 tests skipped"))
struct SmolLM2Tests {
    @Test(arguments: [ComputePrecision.float32, .auto])
    func greedyTextEqualsTheReference(_ precision: ComputePrecision) throws {
        let model = try #require(Fixtures.defaultModel)
        let report = try GreedyVerifier(precision: precision, threadCount: 2).verify(Fixtures.path("smollm2/greedy.json"), model: model)
        #expect(report.prompts == 20)
        #expect(report.failures.isEmpty, "\(report.failures.joined(separator: "; "))")
        // In float32 only four prompts come to a near tie; with 8-bit activations many margins are within their rounding.
        #expect(report.tokensCompared >= (precision == .float32 ? 1100 : 60))
    }
}
