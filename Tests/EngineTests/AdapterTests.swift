import Engine
import Sampling
import Step
import Synchronization
import Testing

/// Adapters in the engine: each request gets its own, and none goes while a request needs it.
@Suite struct AdapterTests {
    private func request(_ prompt: [Int32], _ adapter: Int32?, tokens: Int = 12) -> EngineRequest {
        var request = EngineRequest(promptTokenIDs: prompt, sampling: SamplingParameters(greedy: tokens))
        request.loraID = adapter
        return request
    }

    /// What the model says with a state shifted by the adapter's number.
    private func expected(_ model: HashModel, _ prompt: [Int32], _ adapter: Int32?, _ count: Int = 12) -> [Int32] {
        var tokens = prompt
        for _ in 0..<count { tokens.append(model.best(model.state(at: tokens.count - 1) { tokens[$1] } &+ UInt64(adapter ?? 0))) }
        return Array(tokens[prompt.count...])
    }

    @Test func requestsOfOneBatchHaveTheirOwn() async throws {
        let test = try TestEngine(groups: TestEngine.mixed)
        var adapters: [Int32?] = [nil]
        for _ in 0..<3 { adapters.append(try await test.engine.load(HashAdapter())) }
        let prompts = (0..<24).map { randomPrompt(3 + $0 % 7 * 5, seed: UInt64($0 % 5)) }
        let all = try await concurrently(Array(prompts.indices)) { [adapters] index in
            try await test.run(self.request(prompts[index], adapters[index % 4]))
        }
        for (index, result) in all.enumerated() {
            #expect(result.tokens[0] == expected(test.model, prompts[index], adapters[index % 4]), "request \(index)")
        }
        await test.expectNothingHeld()
    }

    @Test func unloadingLetsRunningRequestsFinish() async throws {
        let log = AdapterLog()
        let test = try TestEngine(prepare: { $0.adapters = log })
        let adapter = try await test.engine.load(HashAdapter())
        let prompt = randomPrompt(9, seed: 4)
        let running = try test.engine.submit(request(prompt, adapter, tokens: 200))
        let second = try test.engine.submit(request(prompt, adapter, tokens: 3))
        test.engine.unload(adapter)
        #expect(throws: EngineError.unknownAdapter(adapter)) { try test.engine.submit(self.request(prompt, adapter)) }
        #expect(try await collect(second).tokens[0] == expected(test.model, prompt, adapter, 3))
        #expect(try await collect(running).tokens[0] == expected(test.model, prompt, adapter, 200))
        // A later adapter has a number of its own, and the old one's memory is given back by then.
        let next = try await test.engine.load(HashAdapter())
        #expect(next != adapter)
        #expect(log.installed.withLock { $0 } == [next])
        test.engine.unload(next)
        let last = try await test.engine.load(HashAdapter())
        #expect(log.installed.withLock { $0 } == [last], "an unused adapter goes at once")
        test.engine.cancel(try test.engine.submit(request(prompt, last, tokens: 300)).id)
        test.engine.unload(last)
        await test.expectNothingHeld()
        _ = try await test.engine.load(HashAdapter())
        #expect(log.installed.withLock { !$0.contains(last) }, "a cancelled request gives its adapter back")
    }

    @Test func refusals() async throws {
        let test = try TestEngine()
        #expect(throws: EngineError.unknownAdapter(7)) { try test.engine.submit(self.request([1, 2], 7)) }
        await #expect(throws: AdapterError.refused("a bad adapter")) { try await test.engine.load(HashAdapter(isGood: false)) }
        await test.engine.shutdown()
        await #expect(throws: AdapterError.notAccepting) { try await test.engine.load(HashAdapter()) }
    }

    /// At most so many adapters run at once, and those without one pass requests that wait for theirs.
    @Test func limitOfAdaptersInAStep() async throws {
        let test = try TestEngine(
            prepare: { runner in
                runner.before = { batch in
                    let adapters = Set(batch.adapterIDs.filter { $0 != 0 })
                    if adapters.count > 2 { throw RunnerFault(description: "\(adapters.count) adapters in one step") }
                }
            }, configure: { $0.scheduler.adapters = 2 })
        var adapters: [Int32?] = [nil]
        for _ in 0..<4 { adapters.append(try await test.engine.load(HashAdapter())) }
        let all = try await concurrently(Array(0..<30)) { [adapters] index in
            let prompt = randomPrompt(5 + index % 3, seed: UInt64(index))
            return (try await test.run(self.request(prompt, adapters[index % 5])).tokens[0], prompt)
        }
        for (index, result) in all.enumerated() {
            #expect(result.0 == expected(test.model, result.1, adapters[index % 5]), "request \(index)")
        }
        await test.expectNothingHeld()
    }
}
