import Engine
import Glibc
import Sampling
import Step
import Testing

/// Requests for pooled rows: what the scheduler asks of the runner, and what comes back.
@Suite struct PoolingTests {
    private func engine(
        _ pooling: PooledOutput.Pooling, whole: Bool, blockCount: Int = 200, configure: (inout EngineConfiguration) -> Void = { _ in }
    ) throws -> Engine {
        var configuration = EngineConfiguration(maxModelLength: 64)
        configuration.scheduler.tokensPerStep = 64
        configuration.scheduler.sequences = 8
        configure(&configuration)
        return try Self.make(configuration, PoolingRunner.Form(pooling: pooling, isWhole: whole, blockCount: blockCount))
    }

    private static func make(_ configuration: EngineConfiguration, _ form: PoolingRunner.Form) throws -> Engine {
        nonisolated(unsafe) let runner = PoolingRunner(form)
        return try Engine(configuration: configuration, runner: runner)
    }

    @Test(arguments: [PooledOutput.Pooling.first, .last, .mean], [true, false])
    func manyTextsShareSteps(_ pooling: PooledOutput.Pooling, _ whole: Bool) async throws {
        let engine = try engine(pooling, whole: whole || pooling != .last)
        let prompts = (0..<60).map { randomPrompt(1 + $0 * 13 % 64, seed: UInt64($0)) }
        let results = try await concurrently(prompts) { prompt in
            try await collect(engine.submit(EngineRequest(pooling: .sequence, of: prompt)))
        }
        for (prompt, result) in zip(prompts, results) {
            #expect(result.pooled == PoolingRunner.expected(prompt, pooling))
            #expect(result.finishes[0]?.reason == .stop && result.tokens.isEmpty)
        }
        let snapshot = engine.snapshot
        #expect(snapshot.steps < 60, "texts were not batched: \(snapshot.steps) steps")
        #expect(snapshot.freeBlocks == snapshot.totalBlocks && snapshot.finishedStop == 60)
    }

    @Test(arguments: [true, false])
    func rowsOfAllTokensComeInOrder(_ whole: Bool) async throws {
        let engine = try engine(whole ? .mean : .last, whole: whole) {
            $0.scheduler.promptLogprobRowsPerStep = 7
            $0.scheduler.tokensPerStep = whole ? 64 : 10
        }
        let prompts = (0..<12).map { randomPrompt(1 + $0 * 5, seed: UInt64($0 % 3)) }
        let results = try await concurrently(prompts) { prompt in
            try await collect(engine.submit(EngineRequest(pooling: .tokens, of: prompt)))
        }
        for (prompt, result) in zip(prompts, results) {
            #expect(result.pooled == prompt.indices.flatMap { PoolingRunner.row(prompt[$0], position: $0, type: 0) })
        }
    }

    @Test func preemptedTextsGiveTheSameRows() async throws {
        let engine = try engine(.last, whole: false, blockCount: 12) {
            $0.scheduler.tokensPerStep = 16
            $0.scheduler.watermark = 0
        }
        let prompts = (0..<20).map { randomPrompt(20 + $0, seed: UInt64($0)) }
        let results = try await concurrently(prompts) { prompt in
            try await collect(engine.submit(EngineRequest(pooling: prompt.count % 2 == 0 ? .tokens : .sequence, of: prompt)))
        }
        for (prompt, result) in zip(prompts, results) {
            let rows = prompt.indices.flatMap { PoolingRunner.row(prompt[$0], position: $0, type: 0) }
            #expect(result.pooled == (prompt.count % 2 == 0 ? rows : Array(rows.suffix(2))))
        }
    }

    @Test func segmentsReachTheModel() async throws {
        let engine = try engine(.mean, whole: true)
        var request = EngineRequest(pooling: .tokens, of: [5, 6, 7, 8])
        request.secondSegment = 2
        let plain = EngineRequest(pooling: .tokens, of: [5, 6, 7, 8])
        let results = try await concurrently([request, plain, request]) { try await collect(engine.submit($0)) }
        let marked = (0..<4).flatMap { PoolingRunner.row(Int32(5 + $0), position: $0, type: $0 < 2 ? 0 : 1) }
        #expect(results[0].pooled == marked && results[2].pooled == marked)
        #expect(results[1].pooled == (0..<4).flatMap { PoolingRunner.row(Int32(5 + $0), position: $0, type: 0) })
    }

    @Test func tasksAreNotMixedUp() throws {
        let pooling = try engine(.last, whole: false)
        #expect(throws: EngineError.wrongTask(modelPools: true)) {
            try pooling.submit(EngineRequest(promptTokenIDs: [1], sampling: SamplingParameters(greedy: 3)))
        }
        let generating = try TestEngine()
        #expect(throws: EngineError.wrongTask(modelPools: false)) {
            try generating.engine.submit(EngineRequest(pooling: .sequence, of: [1]))
        }
    }

    @Test func textsOfTheFullLengthFitAndLongerOnesDoNot() async throws {
        let engine = try engine(.mean, whole: true)
        let full = try await collect(engine.submit(EngineRequest(pooling: .sequence, of: randomPrompt(64, seed: 1))))
        #expect(full.pooled?.count == 2)
        #expect(throws: EngineError.promptTooLong(tokens: 65, maxModelLength: 64)) {
            try engine.submit(EngineRequest(pooling: .sequence, of: randomPrompt(65, seed: 1)))
        }
        #expect(throws: ConfigurationError.self) { try self.engine(.mean, whole: true) { $0.scheduler.tokensPerStep = 32 } }
    }

    @Test func rowsThatAreNoNumbersFailTheirRequestAlone() async throws {
        let engine = try engine(.last, whole: false)
        let results = try await concurrently([[1, 2], [1, PoolingRunner.poison], [3, 4]] as [[Int32]]) { prompt in
            do {
                return try await collect(engine.submit(EngineRequest(pooling: .sequence, of: prompt))).pooled?.count ?? 0
            } catch EngineError.corruptLogits {
                return -1
            }
        }
        #expect(results == [2, -1, 2])
        #expect(engine.snapshot.corruptedRequests == 1)
    }
}

/// Gives rows of two numbers that say which token they are of, and checks that texts come whole where they must.
final class PoolingRunner: StepRunner {
    private var isFirstStep = true
    struct Form: Sendable {
        var pooling: PooledOutput.Pooling
        var isWhole: Bool
        var blockCount: Int
    }

    /// Its row is no number.
    static let poison: Int32 = 61
    let form: Form
    let kvCache: KVCacheSpec
    let vocabularySize = 62
    private let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: 256)

    deinit { memory.deallocate() }

    init(_ form: Form) {
        self.form = form
        kvCache = KVCacheSpec(groups: TestEngine.full, blockSize: 4, blockCount: form.blockCount)
    }

    var pooled: PooledOutput? { PooledOutput(pooling: form.pooling, width: 2, activation: .none) }
    var needsWholeSequences: Bool { form.isWhole }

    static func row(_ token: Int32, position: Int, type: Int32) -> [Float] {
        [token == poison ? .nan : Float(token) + 100 * Float(type), Float(position)]
    }

    static func expected(_ prompt: [Int32], _ pooling: PooledOutput.Pooling) -> [Float] {
        switch pooling {
        case .first: return row(prompt[0], position: 0, type: 0)
        case .last: return row(prompt[prompt.count - 1], position: prompt.count - 1, type: 0)
        case .mean:
            let sum = prompt.reduce(0) { $0 + Float($1) }
            return [sum / Float(prompt.count), Float(prompt.count)]
        }
    }

    func parallelFor(_ count: Int, _ body: @Sendable (Int) -> Void) { for index in 0..<count { body(index) } }

    func run(_ batch: borrowing StepBatch) throws -> UnsafeMutableBufferPointer<Float> {
        // The first step takes its time, so that texts sent at once meet.
        if isFirstStep { usleep(20_000) }
        isFirstStep = false
        var rows: [Float] = []
        for (index, wanted) in batch.logitRows.enumerated() {
            let token = Int(wanted)
            let starts = batch.queryStarts
            let sequence = (0..<batch.sequenceCount).last { Int(starts[$0]) <= token } ?? 0
            let range = Int(starts[sequence])..<Int(starts[sequence + 1])
            if form.isWhole, Int(batch.sequenceLengths[sequence]) != range.count || batch.positions[range.lowerBound] != 0
                || Int(batch.promptLengths[sequence]) != range.count
            { throw RunnerFault(description: "a text came in parts") }
            if form.pooling == .mean, !batch.isTokenRow[index] {
                let sum = batch.tokenIDs[range].reduce(0) { $0 + Float($1) }
                rows += [sum / Float(range.count), Float(range.count)]
            } else {
                rows += Self.row(
                    batch.tokenIDs[token], position: Int(batch.positions[token]), type: batch.tokenTypes.isEmpty ? 0 : batch.tokenTypes[token])
            }
        }
        guard rows.count <= memory.count else { throw RunnerFault(description: "\(rows.count / 2) rows are more than a step has tokens") }
        for (index, value) in rows.enumerated() { memory[index] = value }
        return UnsafeMutableBufferPointer(rebasing: memory[..<rows.count])
    }
}
