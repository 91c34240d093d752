import Engine
import Sampling
import Step
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Logprobs through the engine, against the model itself.
@Suite struct EngineLogprobsTests {
    private func expected(_ model: HashModel, _ tokens: [Int32], at position: Int) -> [Double] {
        let state = model.state(at: position) { tokens[$1] }
        let logits = (0..<model.vocabulary).map { Double(model.logit(state, $0)) }
        let normaliser = log(logits.reduce(0) { $0 + exp($1) })
        return logits.map { $0 - normaliser }
    }

    @Test(arguments: [16, 64], [1, 3])
    func promptAndOutput(tokensPerStep: Int, choices: Int) async throws {
        let test = try TestEngine { _ in } configure: { configuration in
            configuration.scheduler.tokensPerStep = tokensPerStep
            configuration.scheduler.promptLogprobRowsPerStep = 7
        }
        let prompt = randomPrompt(33, seed: 4)
        var sampling = SamplingParameters()
        sampling.seed = 5
        sampling.n = choices
        sampling.maxTokens = 6
        sampling.logprobs = 3
        sampling.promptLogprobs = 2
        sampling.logprobTokenIDs = [9]
        sampling.frequencyPenalty = 1  // changes the row, not what is reported
        for round in 0..<2 {  // no prefix hit in the second round
            let result = try await test.run(EngineRequest(promptTokenIDs: prompt, sampling: sampling))
            let start = try #require(result.start)
            #expect(start.cachedPromptTokens == 0, "round \(round)")
            try #require(start.promptLogprobs.count == prompt.count)
            #expect(start.promptLogprobs[0] == nil)
            for position in 1..<prompt.count {
                check(try #require(start.promptLogprobs[position]), expected(test.model, prompt, at: position - 1), prompt[position], top: 2)
            }
            for choice in 0..<choices {
                let tokens = prompt + (result.tokens[choice] ?? [])
                try #require(result.logprobs[choice]?.count == 6)
                for position in prompt.count..<tokens.count {
                    check(result.logprobs[choice]![position - prompt.count], expected(test.model, tokens, at: position - 1), tokens[position], top: 3)
                }
            }
        }
        await test.expectNothingHeld()
    }

    private func check(_ logprobs: PositionLogprobs, _ expected: [Double], _ chosen: Int32, top: Int) {
        #expect(logprobs.chosen.token == chosen)
        #expect(abs(Double(logprobs.chosen.logprob) - expected[Int(chosen)]) < 1e-5)
        #expect(Int(logprobs.chosen.rank) == 1 + expected.filter { $0 > expected[Int(chosen)] }.count)
        let order = expected.indices.sorted { expected[$0] > expected[$1] }
        #expect(logprobs.top.map(\.token) == order.prefix(top).map(Int32.init))
        #expect(logprobs.top.map(\.rank) == Array(1...Int32(top)))
        #expect(logprobs.requested.map(\.token) == [9])
        #expect(abs(Double(logprobs.requested[0].logprob) - expected[9]) < 1e-5)
    }

    @Test func scoringOnlyThePrompt() async throws {
        let test = try TestEngine()
        var sampling = SamplingParameters(greedy: 0)
        sampling.promptLogprobs = 0
        let result = try await test.run(EngineRequest(promptTokenIDs: randomPrompt(9, seed: 1), sampling: sampling))
        #expect(result.start?.promptLogprobs.count == 9)
        #expect(result.tokens.isEmpty)
        #expect(result.finishes[0]?.limit == .maxTokens && result.finishes[0]?.outputTokens == 0)
        await test.expectNothingHeld()
    }
}
