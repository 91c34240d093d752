import Compute
import Engine
import Models
import Sampling
import Step
import Testing

/// How a model is served in a test.
struct Serving: Sendable {
    /// Blocks of 16 tokens, the null block included.
    var blockCount = 4000
    var threads = 2
    var tokensPerStep = 512
    var sequences = 64
    var prefixCaching = true
    var precision = ComputePrecision.auto
    var samplingWorkers = 2

    static let blockSize = 16
}

/// The real engine over the real decoder on the CPU.
struct ServedModel {
    let engine: Engine
    let watch: RunnerWatch

    init(_ path: String, _ serving: Serving = Serving()) throws {
        var backendConfiguration = CPUBackend.Configuration(threadCount: serving.threads, maxBatchedTokens: serving.tokensPerStep)
        backendConfiguration.precision = serving.precision
        let source = try ModelSource(path: path)
        let backend = CPUBackend(backendConfiguration)
        let bytesPerBlock = try source.bytesPerBlock(backend, blockSize: Serving.blockSize)
        var options = ModelOptions(cacheByteCount: bytesPerBlock * serving.blockCount, maxBatchedTokens: serving.tokensPerStep)
        options.blockSize = Serving.blockSize
        var configuration = EngineConfiguration(maxModelLength: source.description.maxPositions)
        configuration.scheduler.tokensPerStep = serving.tokensPerStep
        configuration.scheduler.sequences = serving.sequences
        configuration.scheduler.watermark = 0
        configuration.prefixCaching = serving.prefixCaching
        configuration.samplingWorkers = serving.samplingWorkers
        let watch = RunnerWatch()
        engine = try Engine(configuration: configuration, runner: WatchedRunner(try source.load(on: backend, options: options), watch))
        self.watch = watch
    }

    func run(_ request: EngineRequest) async throws -> Answer { try await Answer(engine.submit(request)) }

    /// All at once.
    func run(_ requests: [EngineRequest]) async throws -> [Answer] {
        try await withThrowingTaskGroup(of: (Int, Answer).self) { group in
            // Submitted in order before any is read, so that they do meet in the engine.
            for (index, outputs) in try requests.map({ try engine.submit($0) }).enumerated() {
                group.addTask { (index, try await Answer(outputs)) }
            }
            var answers: [Int: Answer] = [:]
            for try await (index, answer) in group { answers[index] = answer }
            return requests.indices.compactMap { answers[$0] }
        }
    }

    /// Waits for the last cancellations to be seen to, then checks that nothing is left of any request.
    func expectNothingHeld(_ comment: Comment? = nil) async throws {
        for _ in 0..<4000 where !isEmpty { try await Task.sleep(for: .milliseconds(1)) }
        let snapshot = engine.snapshot
        #expect(snapshot.runningRequests == 0, comment)
        #expect(snapshot.waitingRequests == 0, comment)
        #expect(snapshot.freeBlocks == snapshot.totalBlocks, comment)
        #expect(snapshot.kvCacheUsage == 0, comment)
        #expect(snapshot.failedSteps == 0 && snapshot.corruptedRequests == 0, comment)
        // The pool itself agrees: it refuses to forget while a block is held.
        #expect(await engine.resetPrefixCache(), comment)
    }

    private var isEmpty: Bool {
        let snapshot = engine.snapshot
        return snapshot.freeBlocks == snapshot.totalBlocks && snapshot.runningRequests == 0 && snapshot.waitingRequests == 0
    }
}

/// What a request got, by choice. Equal means equal bits: no log-probability is a NaN or a zero.
struct Answer: Sendable, Equatable {
    var promptLogprobs: [PositionLogprobs?] = []
    var tokens: [Int: [Int32]] = [:]
    var logprobs: [Int: [PositionLogprobs]] = [:]
    var ends: [Int: FinishReason] = [:]

    init(_ outputs: RequestOutputs) async throws {
        for try await event in outputs {
            switch event {
            case .started(let start): promptLogprobs = start.promptLogprobs
            case .pooled: break
            case .tokens(let new):
                tokens[new.choice, default: []] += new.tokenIDs
                logprobs[new.choice, default: []] += new.logprobs
            case .finished(let finish): ends[finish.choice] = finish.reason
            }
        }
    }

    /// One choice as if it were a request's only one.
    func choice(_ index: Int) -> Answer {
        var single = self
        single.tokens = tokens[index].map { [0: $0] } ?? [:]
        single.logprobs = logprobs[index].map { [0: $0] } ?? [:]
        single.ends = ends[index].map { [0: $0] } ?? [:]
        return single
    }

    /// What is left when the first `count` tokens were carried over.
    func dropping(_ count: Int) -> Answer {
        var rest = self
        rest.tokens[0] = tokens[0].map { Array($0.dropFirst(count)) }
        rest.logprobs[0] = logprobs[0].map { Array($0.dropFirst(count)) }
        return rest
    }
}

/// Says which requests differ and where first, instead of printing all of both sides.
func expectSame(_ found: [Answer], _ expected: [Answer], _ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(found.count == expected.count, comment, sourceLocation: sourceLocation)
    for (index, (found, expected)) in zip(found, expected).enumerated() where found != expected {
        let tokens = zip(found.tokens[0] ?? [], expected.tokens[0] ?? []).enumerated().first { $1.0 != $1.1 }?.offset
        let logprobs = zip(found.logprobs[0] ?? [], expected.logprobs[0] ?? []).enumerated().first { $1.0 != $1.1 }?.offset
        let prompt = zip(found.promptLogprobs, expected.promptLogprobs).enumerated().first { $1.0 != $1.1 }?.offset
        Issue.record(
            """
            \(comment): request \(index) differs; first token \(tokens.map(String.init) ?? "-"), first logprobs \(logprobs.map(String.init) ?? "-"), \
            first prompt logprobs \(prompt.map(String.init) ?? "-"), ends \(found.ends) and \(expected.ends)
            """, sourceLocation: sourceLocation)
    }
}
