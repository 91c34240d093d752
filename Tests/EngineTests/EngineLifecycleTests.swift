import Engine
import Prometheus
import Sampling
import Step
import Synchronization
import Testing

@Suite struct EngineLifecycleTests {
    @Test func cancelStormLeavesNothingHeld() async throws {
        let test = try TestEngine(groups: TestEngine.mixed, blockCount: 90) { _ in } configure: { $0.scheduler.watermark = 0 }
        _ = try await concurrently(Array(0..<120)) { index in
            var sampling = SamplingParameters()
            sampling.maxTokens = 200
            sampling.n = index % 5 == 0 ? 3 : 1
            let request = EngineRequest(promptTokenIDs: randomPrompt(1 + index % 30, seed: UInt64(index % 7)), sampling: sampling)
            let outputs = try test.engine.submit(request)
            switch index % 4 {
            case 0: test.engine.cancel(outputs.id)
            case 1:  // drop after a few events
                var count = 0
                for try await _ in outputs {
                    count += 1
                    if count > index % 6 { break }
                }
            case 2:  // cancel the reading task
                let task = Task { try await collect(outputs) }
                await Task.yield()
                task.cancel()
                _ = try? await task.value
            default: break  // drop unread
            }
        }
        await test.expectNothingHeld()
        #expect(test.engine.snapshot.finishedAbort > 0)
        // Still serving.
        let after = try await test.run(EngineRequest(promptTokenIDs: [1, 2, 3], sampling: SamplingParameters(greedy: 3)))
        #expect(after.tokens[0]?.count == 3)
    }

    @Test func cancelByIDEndsTheSequenceWithAbort() async throws {
        let test = try TestEngine()
        var sampling = SamplingParameters()
        sampling.maxTokens = 400
        sampling.n = 2
        let outputs = try test.engine.submit(EngineRequest(promptTokenIDs: [5], sampling: sampling))
        var reasons: [FinishReason] = []
        for try await event in outputs {
            if case .tokens = event { test.engine.cancel(outputs.id) }
            if case .finished(let finish) = event { reasons.append(finish.reason) }
        }
        #expect(reasons == [.abort, .abort] || reasons == [.length, .length] || Set(reasons) == [.abort, .length])
        await test.expectNothingHeld()
    }

    @Test func refusalsNameTheNumbers() async throws {
        let test = try TestEngine(blockSize: 4, blockCount: 11, maxModelLength: 64)
        func refusal(_ prompt: [Int32], _ change: (inout EngineRequest) -> Void = { _ in }) -> EngineError? {
            var request = EngineRequest(promptTokenIDs: prompt, sampling: SamplingParameters(greedy: 4))
            change(&request)
            do throws(EngineError) {
                _ = try test.engine.submit(request)
                return nil
            } catch {
                return error
            }
        }
        #expect(refusal([]) == .emptyPrompt)
        #expect(refusal(randomPrompt(64, seed: 1)) == .promptTooLong(tokens: 64, maxModelLength: 64))
        #expect(refusal(randomPrompt(41, seed: 1)) == .promptExceedsCache(tokens: 41, capacity: 40))
        #expect(refusal([1, 61]) == .tokenOutOfRange(token: 61, position: 1, vocabularySize: 61))
        #expect(refusal([-1]) == .tokenOutOfRange(token: -1, position: 0, vocabularySize: 61))
        #expect(refusal([1]) { $0.sampling.topP = 0 }?.description.contains("(parameter=top_p, value=0.0)") == true)
        #expect(refusal([1]) { $0.sampling.stopTokenIDs = [99] }?.description.contains("stop_token_ids") == true)
        #expect(refusal([1]) { request in
            request.sampling.temperature = 1
            request.sampling.n = 2
            request.outputTokensSoFar = [1]
        }?.description.contains("n must be 1") == true)
        #expect(refusal(randomPrompt(40, seed: 1)) == nil)
    }

    @Test func aloneInAFullCacheEndsWithLength() async throws {
        let test = try TestEngine(blockSize: 4, blockCount: 11, maxModelLength: 400)
        let result = try await test.run(EngineRequest(promptTokenIDs: randomPrompt(30, seed: 2), sampling: SamplingParameters(greedy: 300)))
        #expect(result.finishes[0]?.reason == .length)
        #expect(result.finishes[0]?.limit == .cacheCapacity(tokens: 40))
        // 40 tokens are cached and the last one drawn needs no place.
        #expect(result.tokens[0] == test.model.continuation(of: randomPrompt(30, seed: 2), limit: 11, end: nil))
        await test.expectNothingHeld()
    }

    @Test func lengthsAndStops() async throws {
        let test = try TestEngine(maxModelLength: 40)
        let prompt = randomPrompt(10, seed: 3)
        let free = test.model.continuation(of: prompt, limit: 100, end: nil)
        var sampling = SamplingParameters(greedy: 100)
        var result = try await test.run(EngineRequest(promptTokenIDs: prompt, sampling: sampling))
        #expect(result.tokens[0] == Array(free.prefix(30)))
        #expect(result.finishes[0]?.limit == .modelLength(tokens: 40))

        sampling.maxTokens = nil
        result = try await test.run(EngineRequest(promptTokenIDs: prompt, sampling: sampling))
        #expect(result.tokens[0] == Array(free.prefix(30)))
        var several = SamplingParameters()
        several.n = 3
        result = try await test.run(EngineRequest(promptTokenIDs: prompt, sampling: several))
        #expect(result.finishes.count == 3 && result.finishes.values.allSatisfy { $0.outputTokens == 30 })

        sampling.stopTokenIDs = [free[5]]
        let first = free.firstIndex(of: free[5])!
        result = try await test.run(EngineRequest(promptTokenIDs: prompt, sampling: sampling))
        #expect(result.tokens[0] == Array(free[...first]))
        #expect(result.finishes[0] == ChoiceFinish(
            choice: 0, reason: .stop, stopTokenID: free[5], limit: nil, outputTokens: first + 1, preemptions: 0))

        sampling.stopTokenIDs = []
        sampling.eosTokenIDs = [free[5]]
        result = try await test.run(EngineRequest(promptTokenIDs: prompt, sampling: sampling))
        #expect(result.finishes[0]?.reason == .stop && result.finishes[0]?.stopTokenID == nil)
        sampling.ignoreEOS = true
        result = try await test.run(EngineRequest(promptTokenIDs: prompt, sampling: sampling))
        #expect(result.tokens[0] == Array(free.prefix(30)))
        sampling.ignoreEOS = false
        sampling.minTokens = 12
        result = try await test.run(EngineRequest(promptTokenIDs: prompt, sampling: sampling))
        #expect(result.tokens[0]!.count >= 12 && !result.tokens[0]!.prefix(12).contains(free[5]))
        await test.expectNothingHeld()
    }

    @Test func queueLimitRefuses() async throws {
        let gate = Mutex(true)
        let test = try TestEngine { runner in
            runner.before = { _ in while gate.withLock({ $0 }) {} }
        } configure: { configuration in
            configuration.maxWaitingRequests = 3
            configuration.scheduler.sequences = 1
        }
        var held: [RequestOutputs] = []
        let request = EngineRequest(promptTokenIDs: [1, 2], sampling: SamplingParameters(greedy: 2))
        held.append(try test.engine.submit(request))
        while test.engine.currentStepDuration == nil { await Task.yield() }
        for _ in 0..<3 { held.append(try test.engine.submit(request)) }
        #expect(throws: EngineError.queueFull(waiting: 3, limit: 3)) { _ = try test.engine.submit(request) }
        #expect(test.engine.snapshot.admissionRejections == 1)
        gate.withLock { $0 = false }
        for outputs in held { #expect(try await collect(outputs).tokens[0]?.count == 2) }
        #expect(try await test.run(request).tokens[0]?.count == 2)
    }

    @Test func runnerErrorFailsOnlyItsStep() async throws {
        let test = try TestEngine { runner in
            // Fails whenever the poison token is in the batch.
            runner.before = { batch in
                if batch.tokenIDs.contains(60) { throw RunnerFault(description: "the device is on fire") }
            }
        }
        let good = EngineRequest(promptTokenIDs: [1, 2, 3], sampling: SamplingParameters(greedy: 1))
        let fault = EngineError.stepFailed(cause: "the device is on fire")
        await #expect(throws: fault) { try await test.run(EngineRequest(promptTokenIDs: [4, 60], sampling: SamplingParameters(greedy: 4))) }
        #expect(try await test.run(good).finishes[0]?.reason == .length)
        let snapshot = test.engine.snapshot
        #expect(snapshot.failedSteps == 1 && snapshot.finishedError == 1)
        await test.expectNothingHeld()
    }

    @Test func corruptLogitsFailOnlyTheirRequest() async throws {
        let test = try TestEngine { runner in
            runner.tamper = { _, token, row in if token == 60 { row[17] = .nan } }
        }
        let results = try await concurrently(Array(0..<8)) { index -> EngineError? in
            let prompt: [Int32] = [index == 3 ? 60 : 2]
            do throws(EngineError) {
                for try await _ in try test.engine.submit(EngineRequest(promptTokenIDs: prompt, sampling: SamplingParameters(greedy: 1))) {}
                return nil
            } catch {
                return error
            }
        }
        #expect(results[3] == .corruptLogits(choice: 0, outputPosition: 0))
        #expect(results.compactMap { $0 }.count == 1)
        #expect(test.engine.snapshot.corruptedRequests == 1)
        await test.expectNothingHeld()
    }

    @Test func drainFinishesAndShutdownAborts() async throws {
        let test = try TestEngine()
        let outputs = try test.engine.submit(EngineRequest(promptTokenIDs: [1], sampling: SamplingParameters(greedy: 50)))
        await test.engine.drain(within: .seconds(30))
        #expect(throws: EngineError.notAccepting) {
            _ = try test.engine.submit(EngineRequest(promptTokenIDs: [1], sampling: SamplingParameters(greedy: 1)))
        }
        #expect(try await collect(outputs).tokens[0]?.count == 50)
        #expect(!test.engine.isAlive)

        let hurried = try TestEngine(blockCount: 5000, maxModelLength: 10_000)
        let long = try hurried.engine.submit(EngineRequest(promptTokenIDs: [1], sampling: SamplingParameters(greedy: 9000)))
        await hurried.engine.drain(within: .milliseconds(20))
        #expect(try await collect(long).finishes[0]?.reason == .abort)

        let stopped = try TestEngine(blockCount: 5000, maxModelLength: 10_000)
        let cut = try stopped.engine.submit(EngineRequest(promptTokenIDs: [1], sampling: SamplingParameters(greedy: 9000)))
        await stopped.engine.shutdown()
        #expect(try await collect(cut).finishes[0]?.reason == .abort)
        await stopped.engine.shutdown()
        #expect(await stopped.engine.resetPrefixCache() == false)
    }

    @Test func figuresAddUp() async throws {
        let test = try TestEngine()
        let prompt = randomPrompt(30, seed: 8)
        for _ in 0..<3 { _ = try await test.run(EngineRequest(promptTokenIDs: prompt, sampling: SamplingParameters(greedy: 10))) }
        await test.expectNothingHeld()
        let snapshot = test.engine.snapshot
        #expect(snapshot.promptTokens == 90)
        #expect(snapshot.generationTokens == 30)
        #expect(snapshot.cachedPromptTokens == 56 && snapshot.prefixCacheHits == 56 && snapshot.prefixCacheQueries == 90)
        #expect(snapshot.computedTokens == 90 - 56 + 3 * 9)
        #expect(snapshot.finishedLength == 3)
        #expect(snapshot.timeToFirstToken.count == 3 && snapshot.endToEndLatency.count == 3 && snapshot.queueTime.count == 3)
        #expect(snapshot.interTokenLatency.count == 27 && snapshot.timePerOutputToken.count == 3)
        #expect(snapshot.requestPromptTokens.sum == 90 && snapshot.requestGenerationTokens.sum == 30)
        #expect(snapshot.steps == 30 && snapshot.iterationTokens.count == 30)
        #expect(test.engine.currentStepDuration == nil)
    }
}
