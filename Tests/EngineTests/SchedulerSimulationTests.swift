import Engine
import Step
import Testing

/// Thousands of random steps against the checking runner: no wrong token, no lost block, no hang.
@Suite struct SchedulerSimulationTests {
    struct Layout: Sendable, CustomTestStringConvertible {
        var windows: [Int?]
        var blockSize: Int
        var blockCount: Int
        var tokensPerStep: Int
        var sequences = 8
        var prefixCaching = true
        var chunked = true
        var testDescription: String { "windows \(windows), block \(blockSize), pool \(blockCount), budget \(tokensPerStep)" }
    }

    static let layouts: [Layout] = [
        Layout(windows: [nil], blockSize: 4, blockCount: 200, tokensPerStep: 64),
        Layout(windows: [nil], blockSize: 4, blockCount: 24, tokensPerStep: 16),
        Layout(windows: [nil], blockSize: 1, blockCount: 70, tokensPerStep: 7),
        Layout(windows: [nil], blockSize: 16, blockCount: 12, tokensPerStep: 33, prefixCaching: false),
        Layout(windows: [nil], blockSize: 4, blockCount: 40, tokensPerStep: 256, chunked: false),
        Layout(windows: [8], blockSize: 4, blockCount: 30, tokensPerStep: 16),
        Layout(windows: [1], blockSize: 4, blockCount: 30, tokensPerStep: 16),
        Layout(windows: [nil, 9], blockSize: 4, blockCount: 48, tokensPerStep: 24),
        Layout(windows: [6, nil, 13], blockSize: 4, blockCount: 60, tokensPerStep: 12),
        Layout(windows: [nil, nil], blockSize: 8, blockCount: 40, tokensPerStep: 40),
        Layout(windows: [5, 11], blockSize: 2, blockCount: 64, tokensPerStep: 10, sequences: 3),
    ]

    @Test(arguments: layouts, [1, 2, 3] as [UInt64])
    func randomLife(layout: Layout, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var limits = SchedulerLimits()
        limits.tokensPerStep = layout.tokensPerStep
        limits.sequences = layout.sequences
        limits.chunkedPrefill = layout.chunked
        limits.policy = seed % 2 == 0 ? .priority : .fcfs
        let model = HashModel(groups: layout.windows.map { KVCacheGroup(slidingWindow: $0) })
        var simulation = Simulation(
            model: model, blockSize: layout.blockSize, blockCount: layout.blockCount, limits: limits, prefixCaching: layout.prefixCaching)
        let capacity = simulation.scheduler.cache.capacity
        // A few families of prompts that share beginnings.
        let families = (0..<4).map { _ in (0..<60).map { _ in Int32.random(in: 0..<61, using: &random) } }
        var submitted = 0
        for _ in 0..<400 {
            if Int.random(in: 0..<3, using: &random) == 0, simulation.live.count < 20 {
                let shared = families[Int.random(in: 0..<4, using: &random)].prefix(Int.random(in: 0...60, using: &random))
                let own = (0..<Int.random(in: 1...9, using: &random)).map { _ in Int32.random(in: 0..<61, using: &random) }
                let prompt = Array(shared) + own
                if capacity.fits(tokens: prompt.count) {
                    simulation.submit(
                        prompt, maxTokens: Int.random(in: 1...40, using: &random), eos: Bool.random(using: &random) ? 0 : nil,
                        choices: Int.random(in: 0..<4, using: &random) == 0 ? Int.random(in: 2...5, using: &random) : 1,
                        priority: limits.policy == .priority ? Int.random(in: 0...2, using: &random) : 0, maxLength: 120)
                    submitted += 1
                }
            }
            if Int.random(in: 0..<25, using: &random) == 0, let victim = simulation.live.keys.sorted().randomElement(using: &random) {
                simulation.abort(victim)
            }
            _ = try simulation.step()
        }
        try simulation.run()
        simulation.checkOutputs()
        #expect(simulation.scheduler.cache.pool.heldCount == 0, "seed \(seed)")
        #expect(simulation.finished.count > submitted / 2, "seed \(seed)")
        #expect(simulation.runner.largestStep <= limits.tokensPerStep)
        print("seed \(seed), \(layout.testDescription): \(simulation.runner.steps) steps, \(simulation.finished.count) sequences,",
            "\(simulation.scheduler.preemptions) preemptions, \(simulation.scheduler.prefixHits) of \(simulation.scheduler.prefixQueries) hit,",
            "\(simulation.runner.copies) copies")
    }
}
