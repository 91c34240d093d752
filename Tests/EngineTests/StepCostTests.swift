import AllocationCounter
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

/// What a warm decode step costs beside the model.
@Suite struct StepCostTests {
    static func threadNanoseconds() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int(time.tv_sec) * 1_000_000_000 + Int(time.tv_nsec)
    }

    /// 64 sequences of 512 prompt tokens, all decoding.
    static func decoding(windows: [Int?], blockSize: Int) -> Scheduler {
        let spec = KVCacheSpec(groups: windows.map { KVCacheGroup(slidingWindow: $0) }, blockSize: blockSize, blockCount: 20_000)
        var limits = SchedulerLimits()
        limits.tokensPerStep = 8192
        let key = HashKey(k0: 3, k1: 4)
        var scheduler = Scheduler(limits: limits, cache: KVCache(spec: spec, prefixCaching: true, key: key))
        for index in 0..<64 {
            var stop = StopRules(maxLength: 100_000)
            stop.maxTokens = 1000
            stop.eos = [1]
            stop.stopIDs = [2, 3]
            let root = BlockHash.root(cacheSalt: "\(index)", loraID: nil, key: key)
            let blocks = SequenceBlocks(groupCount: windows.count, hashes: [], root: root)
            _ = scheduler.submit(
                NewSequence(prompt: randomPrompt(512, seed: UInt64(index)), blocks: blocks, stop: stop, order: UInt64(index)))
        }
        while scheduler.step.draws.count < 64 || scheduler.step.batch.tokenCount > 64 { step(&scheduler) }
        return scheduler
    }

    static let drawn = Array(repeating: Int32(9), count: 64)

    @inline(never)
    static func step(_ scheduler: inout Scheduler) {
        guard scheduler.plan() else { return }
        scheduler.commit(drawn)
    }

    @Test(arguments: [[nil], [nil, 128]] as [[Int?]], [16, 128])
    func warmDecodeStep(windows: [Int?], blockSize: Int) {
        var scheduler = Self.decoding(windows: windows, blockSize: blockSize)
        for _ in 0..<40 { Self.step(&scheduler) }
        let allocations = allocation_count()
        let begin = Self.threadNanoseconds()
        let steps = 600
        for _ in 0..<steps { Self.step(&scheduler) }
        let made = allocation_count() - allocations
        let microseconds = Double(Self.threadNanoseconds() - begin) / Double(steps) / 1000
        // What grows are the batch's tables, by doubling, as the sequences get longer.
        if allocations >= 0 { #expect(made <= 2 * windows.count, "a warm step allocates nothing") }
        #expect(scheduler.step.batch.sequenceCount == 64)
        print("64 decodes, windows \(windows), block \(blockSize): plan and commit take \(microseconds) µs of thread time a step")
    }

    /// Answers every row with the same logits.
    final class ConstantRunner: StepRunner {
        let vocabularySize = 256
        let kvCache = KVCacheSpec(groups: [KVCacheGroup(slidingWindow: nil)], blockSize: 16, blockCount: 4000)
        private let logits = UnsafeMutableBufferPointer<Float>.allocate(capacity: 256 * 64)
        deinit { logits.deallocate() }
        func parallelFor(_ count: Int, _ body: @Sendable (Int) -> Void) { for index in 0..<count { body(index) } }
        func run(_ batch: borrowing StepBatch) throws -> UnsafeMutableBufferPointer<Float> {
            for index in logits.indices { logits[index] = Float(index % 7) }
            return logits
        }
    }

    /// The whole engine with a model that costs nothing: 64 requests of 400 tokens each.
    @Test func engineOverhead() async throws {
        var configuration = EngineConfiguration(maxModelLength: 600)
        configuration.samplingWorkers = 1
        let engine = try Engine(configuration: configuration, runner: ConstantRunner())
        let results = try await concurrently(Array(0..<64)) { index in
            try await collect(engine.submit(EngineRequest(promptTokenIDs: randomPrompt(20, seed: UInt64(index)), sampling: SamplingParameters(greedy: 400))))
        }
        #expect(results.allSatisfy { $0.tokens[0]?.count == 400 })
        let snapshot = engine.snapshot
        let steps = Double(snapshot.steps)
        #expect(snapshot.schedulingSeconds / steps < 0.005)
        print("engine, up to 64 decodes: \(snapshot.steps) steps, planning and settling \(snapshot.schedulingSeconds / steps * 1e6) µs,",
            "sampling \(snapshot.samplingSeconds / steps * 1e6) µs a step (wall)")
    }

    /// The counter must see allocations for the test above to mean anything.
    @Test(.enabled(if: allocation_count() >= 0)) func counterCounts() {
        let before = allocation_count()
        var array: [Int] = []
        for index in 0..<100 { array.append(index) }
        #expect(array.count == 100)
        #expect(allocation_count() > before)
    }

    /// Sampling a row of a large vocabulary, warm.
    @Test func warmSampling() throws {
        let count = 151_936
        var random = SeededGenerator(seed: 5)
        let row = (0..<count).map { _ in Float.random(in: -4...4, using: &random) + Float.random(in: -4...4, using: &random) }
        var greedy = SamplingParameters(greedy: 1)
        var full = SamplingParameters()
        var usual = SamplingParameters()
        usual.temperature = 0.7
        usual.topK = 20
        usual.topP = 0.8
        usual.repetitionPenalty = 1.05
        var nucleus = SamplingParameters()
        nucleus.temperature = 0.7
        nucleus.topP = 0.9
        var reported = SamplingParameters(greedy: 1)
        reported.logprobs = 5
        greedy.eosTokenIDs = [7]
        full.eosTokenIDs = [7]
        let sampler = Sampler()
        var scratch = row
        let prompt = randomPrompt(500, seed: 1)
        for (name, p) in [("greedy", greedy), ("temperature", full), ("top-k 20, top-p 0.8, repetition", usual), ("top-p 0.9", nucleus), ("greedy with logprobs", reported)] {
            let plan = SamplingPlan(p)
            let seen = plan.seen(prompt: prompt, output: [])
            var best = Int.max
            for round in 0..<8 {
                scratch.withUnsafeMutableBufferPointer { _ = $0.update(fromContentsOf: row) }
                let allocations = allocation_count()
                let begin = Self.threadNanoseconds()
                let token = try scratch.withUnsafeMutableBufferPointer { row in
                    try prompt.withUnsafeBufferPointer { output in
                        try sampler.sample(row, plan: plan, seen: seen, output: output, seed: UInt64(round)).token
                    }
                }
                let made = allocation_count() - allocations
                best = min(best, Self.threadNanoseconds() - begin)
                #expect(token >= 0 && Int(token) < count)
                if round > 0, p.logprobs == nil, allocations >= 0 { #expect(made == 0, "\(name)") }
            }
            print("sampling one of \(count), \(name): \(best / 1000) µs")
        }
    }
}
