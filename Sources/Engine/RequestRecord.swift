internal import Sampling

/// What the engine keeps of one request besides its sequences.
struct RequestRecord {
    let id: RequestID
    let stream: OutputStream
    let plan: SamplingPlan
    let arrival: MonotonicTime
    let seed: UInt64
    let makeConstraint: (@Sendable () -> any TokenConstraint)?
    let promptCount: Int
    /// Prompt and output carried over.
    let knownCount: Int
    let maxTokens: Int?
    /// Where its sequences live in the scheduler.
    var slots: [Int32]
    var startedAt: MonotonicTime? = nil
    var firstTokenAt: MonotonicTime? = nil
    var hasStarted = false
    var promptLogprobs: [PositionLogprobs?] = []
    /// Rows of a pooled text so far.
    var pooledRows: [Float] = []
    var preemptions = 0
    var cachedTokens = 0
    let choices: Int
    var adapter: Int32? = nil
}

/// What the engine keeps of one choice; indexed by the scheduler's slot.
struct ChoiceRecord {
    /// Index of the request.
    var request: Int = -1
    var choice: Int32 = 0
    var seed: UInt64 = 0
    var seen = SeenTokens()
    var constraint: (any TokenConstraint)? = nil
    var lastTokenAt: MonotonicTime? = nil
    /// Output tokens that came with the request.
    var carriedTokens = 0
}
