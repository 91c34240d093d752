internal import Step

/// What other threads ask of the engine, and the queue's fill that decides on admission. Guarded by its mailbox.
struct Inbox {
    /// An accepted request on its way to the scheduler.
    struct Submission: Sendable {
        let id: RequestID
        let request: EngineRequest
        /// Of the full blocks of prompt and `outputTokensSoFar`, made on the submitting thread.
        let hashes: [BlockHash]
        let stream: OutputStream
        let seed: UInt64
        let arrival: MonotonicTime
    }

    /// An adapter on its way to the runner.
    struct AdapterLoad {
        let id: Int32
        let adapter: any StepAdapter
        let done: CheckedContinuation<Result<Void, AdapterError>, Never>
    }

    var submissions: [Submission] = []
    var adapterLoads: [AdapterLoad] = []
    var adapterUnloads: [Int32] = []
    /// Adapters that requests may name.
    var adapters: Set<Int32> = []
    var nextAdapterID: Int32 = 1
    var cancellations: [RequestID] = []
    var cancelsAll = false
    var resets: [CheckedContinuation<Bool, Never>] = []
    var isAccepting = true
    /// Set by drain: what still runs then is aborted.
    var deadline: MonotonicTime? = nil
    var isStopping = false
    var hasStopped = false
    var stopWaiters: [CheckedContinuation<Void, Never>] = []
    /// Accepted but not yet started, in the inbox or the scheduler.
    var waitingRequests = 0
    var waitingTokens = 0
    var rejections: UInt64 = 0
    var nextID: UInt64 = 1

    mutating func cancel(_ id: RequestID) { cancellations.append(id) }

    var hasMail: Bool {
        !submissions.isEmpty || !adapterLoads.isEmpty || !adapterUnloads.isEmpty || !cancellations.isEmpty || cancelsAll || !resets.isEmpty || isStopping || deadline != nil
    }
}
