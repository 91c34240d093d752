package import Sampling

/// Names a submission within one engine; never reused.
package struct RequestID: Hashable, Sendable, CustomStringConvertible {
    package let value: UInt64

    package init(value: UInt64) { self.value = value }
    package var description: String { String(value) }
}

/// One submission: token ids in, `sampling.n` choices out.
package struct EngineRequest: Sendable {
    package var promptTokenIDs: [Int32]
    package var sampling: SamplingParameters
    /// Tokens a former engine already generated for this request. They are computed like prompt tokens but count as output: for penalties,
    /// min_tokens, max_tokens and the position of the draw. Not repeated in the events. Needs n = 1 and, for the same stream, the same seed.
    package var outputTokensSoFar: [Int32] = []
    /// Lower is sooner; only under the priority policy.
    package var priority: Int = 0
    /// Requests share cached prefixes only with requests of the same salt; nil shares with nil.
    package var cacheSalt: String? = nil
    /// As `Engine.load` numbered the adapter; nil is the bare model. Cached prefixes are not shared between adapters.
    package var loraID: Int32? = nil
    /// When the client's request came in, in `MonotonicTime`; nil is the moment of `submit`.
    package var arrival: MonotonicTime? = nil
    /// Makes a choice's constraint; called once per choice, on the engine thread.
    package var makeConstraint: (@Sendable () -> any TokenConstraint)? = nil

    /// What to give of a model that pools its tokens' rows instead of predicting tokens; nil generates.
    package var pooling: PoolingRequest? = nil
    /// First token of the second text of a pair, where a model tells the two apart; nil for one text.
    package var secondSegment: Int? = nil

    package init(promptTokenIDs: [Int32], sampling: SamplingParameters) {
        self.promptTokenIDs = promptTokenIDs
        self.sampling = sampling
    }

    /// A text to be pooled. Nothing is generated.
    package init(pooling: PoolingRequest, of tokenIDs: [Int32]) {
        self.init(promptTokenIDs: tokenIDs, sampling: SamplingParameters(greedy: 0))
        self.pooling = pooling
    }
}

/// Which rows of a text a request wants of a model that pools.
package enum PoolingRequest: Sendable, Equatable {
    /// One for the whole text.
    case sequence
    /// One for each token.
    case tokens
}
