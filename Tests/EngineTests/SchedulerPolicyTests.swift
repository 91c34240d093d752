import Engine
import Step
import Testing

/// Single decisions of the scheduler.
@Suite struct SchedulerPolicyTests {
    private func simulation(
        _ windows: [Int?] = [nil], blockSize: Int = 4, blockCount: Int = 100, prefixCaching: Bool = true,
        _ configure: (inout SchedulerLimits) -> Void = { _ in }
    ) -> Simulation {
        var limits = SchedulerLimits()
        limits.tokensPerStep = 32
        limits.watermark = 0
        configure(&limits)
        return Simulation(
            model: HashModel(groups: windows.map { KVCacheGroup(slidingWindow: $0) }), blockSize: blockSize, blockCount: blockCount,
            limits: limits, prefixCaching: prefixCaching)
    }

    /// (slot, tokens) of the latest step.
    private func shares(_ simulation: Simulation) -> [[Int]] {
        simulation.scheduler.step.entries.map { [Int($0.slot), Int($0.tokens)] }
    }

    @Test func hugePromptDoesNotStarveOthers() throws {
        var s = simulation { $0.longPrefillTokens = 20 }
        s.submit(randomPrompt(100, seed: 1), maxTokens: 2)
        s.submit(randomPrompt(8, seed: 2), maxTokens: 6)
        _ = try s.step()
        #expect(shares(s) == [[0, 20], [1, 8]])
        _ = try s.step()
        #expect(shares(s) == [[0, 20], [1, 1]])
        try s.run()
        s.checkOutputs()
        // Alone, the whole budget is its own.
        s.submit(randomPrompt(100, seed: 3), maxTokens: 2)
        _ = try s.step()
        #expect(s.scheduler.step.batch.tokenCount == 32)
    }

    @Test func runningComesFirstAndBudgetHolds() throws {
        var s = simulation { $0.tokensPerStep = 10 }
        for seed in 0..<4 { s.submit(randomPrompt(9, seed: UInt64(seed)), maxTokens: 30) }
        var seen = 0
        while s.finished.count < 4 {
            _ = try s.step()
            #expect(s.scheduler.step.batch.tokenCount <= 10)
            seen = max(seen, s.scheduler.step.entries.count)
        }
        #expect(seen == 4)
        s.checkOutputs()
    }

    @Test func youngestIsPreemptedAndComesBackFirst() throws {
        var s = simulation(blockCount: 9) { $0.sequences = 2 }  // 32 tokens
        s.submit(randomPrompt(8, seed: 1), maxTokens: 20)
        s.submit(randomPrompt(8, seed: 2), maxTokens: 20)
        s.submit(randomPrompt(4, seed: 3), maxTokens: 4)
        while s.scheduler.preemptions == 0 { _ = try s.step() }
        #expect(s.scheduler.running == [0])
        #expect(s.scheduler.sequences[1].preemptions == 1 && s.scheduler.sequences[0].preemptions == 0)
        while !s.scheduler.running.contains(1) {
            #expect(!s.scheduler.running.contains(2), "the third, which waited all along, comes after it")
            _ = try s.step()
        }
        try s.run()
        #expect(s.finished.count == 3)
        s.checkOutputs()
    }

    @Test func priorityDecidesOrderAndVictim() throws {
        var s = simulation(blockCount: 9) { $0.policy = .priority }
        s.submit(randomPrompt(8, seed: 1), maxTokens: 20, priority: 5)
        _ = try s.step()
        s.submit(randomPrompt(8, seed: 2), maxTokens: 20, priority: 9)
        s.submit(randomPrompt(8, seed: 3), maxTokens: 20, priority: 0)
        _ = try s.step()
        #expect(s.scheduler.running.first == 2, "the most urgent stands first")
        try s.run()
        s.checkOutputs()
        #expect(s.finished.map { $0.prompt } == [3, 1, 2].map { randomPrompt(8, seed: $0) })
    }

    @Test func admissionWaitsForTheWholePrompt() throws {
        var s = simulation(blockCount: 21) { $0.tokensPerStep = 8 }  // 80 tokens
        s.submit(randomPrompt(60, seed: 1), maxTokens: 1)
        s.submit(randomPrompt(40, seed: 2), maxTokens: 1)
        _ = try s.step()
        #expect(shares(s) == [[0, 4]], "half of the budget while another waits")
        while s.finished.isEmpty {
            #expect(s.scheduler.running == [0], "the second never starts to be thrown out again")
            _ = try s.step()
        }
        try s.run()
        #expect(s.scheduler.preemptions == 0)
        s.checkOutputs()
    }

    @Test func windowSequencesOutliveThePool() throws {
        // 15 blocks of 4 hold 60 tokens; a window of 8 needs few of them however long the sequence.
        var s = simulation([8], blockCount: 16)
        s.submit(randomPrompt(200, seed: 1), maxTokens: 300)
        try s.run()
        s.checkOutputs()
        #expect(s.finished[0].end == .maxTokens && s.finished[0].output.count == 300)
        #expect(s.scheduler.preemptions == 0)
    }

    @Test func windowHitNeedsOnlyTheWindow() throws {
        var s = simulation([nil, 8], blockCount: 200)
        let prompt = randomPrompt(41, seed: 1)
        s.submit(prompt, maxTokens: 1)
        try s.run()
        let slot = s.submit(prompt, maxTokens: 1)
        _ = try s.step()
        #expect(s.scheduler.sequences[Int(slot)].cachedTokens == 40)
        #expect(s.scheduler.step.batch.tokenCount == 1)
        // Its window table begins with dropped blocks: 40 - 8 + 1 = 33 is in block 8.
        #expect(s.scheduler.step.batch.groups[1].blockTables.prefix(9).map { $0 == 0 } == Array(repeating: true, count: 8) + [false])
        try s.run()
        s.checkOutputs()
    }

    @Test func fullyCachedPromptRecomputesItsLastBlock() throws {
        var s = simulation()
        let prompt = randomPrompt(16, seed: 1)
        for _ in 0..<2 {
            s.submit(prompt, maxTokens: 1)
            try s.run()
        }
        #expect(s.scheduler.prefixHits == 12 && s.scheduler.prefixQueries == 32)
        s.checkOutputs()
    }

    @Test func forksShareThePromptAndCopyOneBlockEach() throws {
        var s = simulation()
        s.submit(randomPrompt(22, seed: 1), maxTokens: 8, choices: 4)
        _ = try s.step()
        #expect(s.scheduler.running.count == 4)
        #expect(s.scheduler.cache.pool.heldCount == 6)
        _ = try s.step()
        #expect(s.runner.copies == 3, "the last holder writes in place")
        #expect(s.scheduler.cache.pool.heldCount == 9)
        try s.run()
        #expect(s.finished.count == 4)
        s.checkOutputs()
    }

    @Test func capacityCountsWindowsOnce() {
        func capacity(_ windows: [Int?]) -> CacheCapacity {
            CacheCapacity(KVCacheSpec(groups: windows.map { KVCacheGroup(slidingWindow: $0) }, blockSize: 4, blockCount: 11))
        }
        #expect(capacity([nil]).tokens == 40)
        #expect(capacity([nil, nil]).tokens == 20)
        #expect(capacity([4]).tokens == Int(Int32.max))
        // A window of 4 tokens touches at most 2 blocks.
        #expect(capacity([nil, 4]).tokens == 32)
        #expect(!capacity([nil, 4]).fits(tokens: 33))
    }
}
