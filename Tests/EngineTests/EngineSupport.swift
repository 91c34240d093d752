import Engine
import Sampling
import Step
import Testing

/// A request's events, gathered.
struct Collected: Sendable, Equatable {
    var start: RequestStart?
    var tokens: [Int: [Int32]] = [:]
    var logprobs: [Int: [PositionLogprobs]] = [:]
    var pooled: [Float]?
    var finishes: [Int: ChoiceFinish] = [:]
}

func collect(_ outputs: RequestOutputs) async throws -> Collected {
    var all = Collected()
    for try await event in outputs {
        switch event {
        case .started(let start):
            #expect(all.start == nil && all.tokens.isEmpty && all.finishes.isEmpty, "started comes first and once")
            all.start = start
        case .tokens(let tokens):
            #expect(all.finishes[tokens.choice] == nil, "no tokens after the end")
            all.tokens[tokens.choice, default: []] += tokens.tokenIDs
            all.logprobs[tokens.choice, default: []] += tokens.logprobs
        case .pooled(let rows): all.pooled = rows
        case .finished(let finish):
            #expect(all.finishes.updateValue(finish, forKey: finish.choice) == nil, "one end per choice")
        }
    }
    return all
}

/// An engine over a `HashRunner`.
struct TestEngine {
    static let full = [KVCacheGroup(slidingWindow: nil)]
    static let mixed = [KVCacheGroup(slidingWindow: nil), KVCacheGroup(slidingWindow: 9)]

    let engine: Engine
    let model: HashModel

    init(
        groups: [KVCacheGroup] = full, blockSize: Int = 4, blockCount: Int = 400, maxModelLength: Int = 512,
        prepare: (HashRunner) -> Void = { _ in }, configure: (inout EngineConfiguration) -> Void = { _ in }
    ) throws {
        model = HashModel(groups: groups)
        var configuration = EngineConfiguration(maxModelLength: maxModelLength)
        configuration.samplingWorkers = 3
        configure(&configuration)
        engine = try Self.make(configuration, model, blockSize, blockCount, prepare)
    }

    private static func make(
        _ configuration: EngineConfiguration, _ model: HashModel, _ blockSize: Int, _ blockCount: Int, _ prepare: (HashRunner) -> Void
    ) throws -> Engine {
        nonisolated(unsafe) let runner = HashRunner(model: model, blockSize: blockSize, blockCount: blockCount)
        prepare(runner)
        return try Engine(configuration: configuration, runner: runner)
    }

    func run(_ request: EngineRequest) async throws -> Collected { try await collect(engine.submit(request)) }

    func expectNothingHeld(_ comment: Comment? = nil) async {
        for _ in 0..<2000 {
            let snapshot = engine.snapshot
            if snapshot.freeBlocks == snapshot.totalBlocks, snapshot.runningRequests == 0, snapshot.waitingRequests == 0 { break }
            try? await Task.sleep(for: .milliseconds(1))
        }
        let snapshot = engine.snapshot
        #expect(snapshot.freeBlocks == snapshot.totalBlocks, comment)
        #expect(snapshot.runningRequests == 0 && snapshot.waitingRequests == 0, comment)
    }
}

func randomPrompt(_ count: Int, seed: UInt64) -> [Int32] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in Int32.random(in: 0..<61, using: &random) }
}

/// Runs `body` for each element at once and returns the results in order.
func concurrently<Input: Sendable, Output: Sendable>(
    _ inputs: [Input], _ body: @escaping @Sendable (Input) async throws -> Output
) async throws -> [Output] {
    try await withThrowingTaskGroup(of: (Int, Output).self) { group in
        for (index, input) in inputs.enumerated() { group.addTask { (index, try await body(input)) } }
        var results: [(Int, Output)] = []
        for try await result in group { results.append(result) }
        return results.sorted { $0.0 < $1.0 }.map(\.1)
    }
}
