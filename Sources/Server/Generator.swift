package import Engine
package import Sampling

/// What generates: the engine, or a stand-in in tests.
package protocol Generator: Sendable {
    func submit(_ request: EngineRequest) throws(EngineError) -> any Generation
    func cancelAll()
    var snapshot: EngineSnapshot { get }
    /// How long the step in progress has been running.
    var currentStepDuration: Duration? { get }
    var isAlive: Bool { get }
    var configuration: EngineConfiguration { get }
}

/// One running request.
package protocol Generation: Sendable {
    /// The next event; nil after the last one. One reader at a time.
    func next() async throws(EngineError) -> GenerationEvent?
    /// Ends it early, from any thread, any number of times.
    func cancel()
}

/// What a generation yields: one `started`, then for each choice any number of `tokens` and one `finished`.
package enum GenerationEvent: Sendable {
    /// - cachedPromptTokens: found in the prefix cache.
    /// - promptLogprobs: `[prompt tokens]`, nil at position 0; empty unless asked for.
    case started(cachedPromptTokens: Int, promptLogprobs: [PositionLogprobs?])
    /// - logprobs: one per token if asked for, else empty.
    case tokens(choice: Int, ids: [Int32], logprobs: [PositionLogprobs])
    /// Rows of a pooled text, `[1 or tokens, width]`; no tokens come with it.
    case pooled([Float])
    /// - stopTokenID: the stop id that ended it; nil for EOS and everything else.
    case finished(choice: Int, reason: FinishReason, stopTokenID: Int32?)
}

/// The engine as a generator.
package struct EngineGenerator: Generator {
    private let engine: Engine

    package init(_ engine: Engine) { self.engine = engine }

    package func submit(_ request: EngineRequest) throws(EngineError) -> any Generation {
        EngineGeneration(engine: engine, outputs: try engine.submit(request))
    }

    package func cancelAll() { engine.cancelAll() }
    package var snapshot: EngineSnapshot { engine.snapshot }
    package var currentStepDuration: Duration? { engine.currentStepDuration }
    package var isAlive: Bool { engine.isAlive }
    package var configuration: EngineConfiguration { engine.configuration }
}

private struct EngineGeneration: Generation {
    let engine: Engine
    let outputs: RequestOutputs

    func next() async throws(EngineError) -> GenerationEvent? {
        var iterator = outputs.makeAsyncIterator()
        switch try await iterator.next(isolation: nil) {
        case .started(let start)?: return .started(cachedPromptTokens: start.cachedPromptTokens, promptLogprobs: start.promptLogprobs)
        case .tokens(let tokens)?: return .tokens(choice: tokens.choice, ids: tokens.tokenIDs, logprobs: tokens.logprobs)
        case .pooled(let rows)?: return .pooled(rows)
        case .finished(let finish)?: return .finished(choice: finish.choice, reason: finish.reason, stopTokenID: finish.stopTokenID)
        case nil: return nil
        }
    }

    func cancel() { engine.cancel(outputs.id) }
}

extension EngineError {
    /// Retryable refusals say so; the rest is the client's or ours.
    var isOverload: Bool {
        switch self {
        case .queueFull, .tokenQueueFull, .notAccepting: true
        default: false
        }
    }
}
