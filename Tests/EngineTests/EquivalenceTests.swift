import Engine
import Sampling
import Step
import Testing

/// A request's tokens do not depend on how it was served.
@Suite struct EquivalenceTests {
    /// Greedy, seeded and penalised requests over prompts that share beginnings.
    static func requests() -> [EngineRequest] {
        let shared = randomPrompt(40, seed: 99)
        return (0..<65).map { index in
            var sampling = SamplingParameters(greedy: 24)
            if index % 3 == 1 {
                sampling.temperature = 0.9
                sampling.topP = 0.8
                sampling.seed = UInt64(index)
            }
            if index % 3 == 2 {
                sampling.temperature = 1
                sampling.topK = 7
                sampling.repetitionPenalty = 1.3
                sampling.frequencyPenalty = 0.4
                sampling.minTokens = 5
                sampling.eosTokenIDs = [3]
                sampling.seed = UInt64(index)
            }
            return EngineRequest(promptTokenIDs: shared.prefix(index % 41) + randomPrompt(1 + index % 13, seed: UInt64(index)), sampling: sampling)
        }
    }

    static func alone(_ requests: [EngineRequest], _ groups: [KVCacheGroup]) async throws -> [[Int32]] {
        var results: [[Int32]] = []
        let test = try TestEngine(groups: groups) { _ in } configure: { $0.prefixCaching = false }
        for request in requests { results.append(try await test.run(request).tokens[0] ?? []) }
        return results
    }

    @Test(arguments: [TestEngine.full, TestEngine.mixed])
    func sameTokensHoweverServed(groups: [KVCacheGroup]) async throws {
        let requests = Self.requests()
        let alone = try await Self.alone(requests, groups)
        #expect(alone[0] == HashModel(groups: groups).continuation(of: requests[0].promptTokenIDs, limit: 24, end: nil))

        func serve(_ name: Comment, blockCount: Int = 3000, _ configure: (inout EngineConfiguration) -> Void) async throws -> EngineSnapshot {
            let test = try TestEngine(groups: groups, blockCount: blockCount, configure: configure)
            for round in 0..<2 {  // the second round finds its prompts cached
                let together = try await concurrently(requests) { try await test.run($0).tokens[0] ?? [] }
                #expect(together == alone, "\(name), round \(round)")
            }
            await test.expectNothingHeld(name)
            return test.engine.snapshot
        }
        _ = try await serve("together") { $0.prefixCaching = false }
        let cached = try await serve("with prefix cache") { _ in }
        #expect(cached.prefixCacheHits > 0)
        _ = try await serve("in chunks") { $0.scheduler.tokensPerStep = 16 }
        let tiny = try await serve("in a tiny pool", blockCount: 60) { $0.scheduler.watermark = 0 }
        #expect(tiny.preemptions > 0)
        _ = try await serve("by one worker, few at once") {
            $0.samplingWorkers = 1
            $0.scheduler.sequences = 3
        }
    }

    @Test func continuedElsewhere() async throws {
        let first = try TestEngine()
        let second = try TestEngine(groups: TestEngine.full, blockSize: 8) { _ in } configure: { $0.scheduler.tokensPerStep = 5 }
        for request in Self.requests().prefix(12) {
            let whole = try await first.run(request).tokens[0] ?? []
            for cut in [1, 7, whole.count - 1] where cut < whole.count && cut > 0 {
                var rest = request
                rest.outputTokensSoFar = Array(whole.prefix(cut))
                let result = try await second.run(rest)
                #expect(result.tokens[0] == Array(whole.dropFirst(cut)), "cut at \(cut)")
                #expect(result.finishes[0]?.outputTokens == whole.count)
            }
            var complete = request
            complete.outputTokensSoFar = whole
            let nothing = try await second.run(complete)
            #expect(nothing.tokens.isEmpty && nothing.finishes[0]?.outputTokens == whole.count)
        }
    }

    @Test(arguments: [2, 64])
    func choicesEqualSingleRequestsWithTheirSeeds(sequences: Int) async throws {
        let test = try TestEngine(groups: TestEngine.mixed) { _ in } configure: { $0.scheduler.sequences = sequences }
        let prompt = randomPrompt(22, seed: 5)
        var sampling = SamplingParameters()
        sampling.maxTokens = 15
        sampling.seed = 1000
        sampling.presencePenalty = 0.5
        var single: [[Int32]] = []
        for choice in 0..<6 {
            var one = sampling
            one.seed = 1000 + UInt64(choice)
            single.append(try await test.run(EngineRequest(promptTokenIDs: prompt, sampling: one)).tokens[0] ?? [])
        }
        sampling.n = 6
        let all = try await test.run(EngineRequest(promptTokenIDs: prompt, sampling: sampling))
        #expect((0..<6).map { all.tokens[$0] ?? [] } == single)
        #expect(Set(single).count == 6, "forks differ")
        #expect(all.finishes.count == 6)
        await test.expectNothingHeld()
    }

    @Test func saltsAndAdaptersDoNotShare() async throws {
        let test = try TestEngine()
        let prompt = randomPrompt(41, seed: 1)
        func cached(_ salt: String?, _ lora: Int32?) async throws -> Int? {
            var request = EngineRequest(promptTokenIDs: prompt, sampling: SamplingParameters(greedy: 2))
            request.cacheSalt = salt
            request.loraID = lora
            return try await test.run(request).start?.cachedPromptTokens
        }
        #expect(try await cached(nil, nil) == 0)
        #expect(try await cached(nil, nil) == 40)
        #expect(try await cached("a", nil) == 0)
        #expect(try await cached("b", nil) == 0)
        #expect(try await cached("", nil) == 0)
        let adapter = try await test.engine.load(HashAdapter())
        #expect(try await cached(nil, adapter) == 0)
        #expect(try await cached(nil, adapter) == 40)
        #expect(try await cached("a", nil) == 40)
        #expect(await test.engine.resetPrefixCache())
        #expect(try await cached("a", nil) == 0)
    }
}
