package import Engine

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
    func next() async throws(EngineError) -> RequestEvent?
    /// Ends it early, from any thread, any number of times.
    func cancel()
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

    func next() async throws(EngineError) -> RequestEvent? {
        var iterator = outputs.makeAsyncIterator()
        return try await iterator.next(isolation: nil)
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
