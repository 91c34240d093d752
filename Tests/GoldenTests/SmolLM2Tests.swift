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
        for tie in report.nearTies { print("\(precision): '\(tie.prompt)' leaves the reference at token \(tie.step), where its margin is \(tie.margin) std") }
        // In float32 hardly any prompt comes to a near tie; with 8-bit activations many margins are within their rounding.
        #expect(report.tokensCompared >= (precision == .float32 ? 1100 : 300))
    }
}
