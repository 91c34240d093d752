internal import Sampling
package import Step
internal import Synchronization

/// Serves requests of token ids with continuous batching. One dedicated thread owns all state; other threads leave mail. Dropping the
/// engine stops the thread after its current step and aborts what runs.
package final class Engine: Sendable {
    package let configuration: EngineConfiguration
    /// Ids below it can be prompted and chosen.
    package let vocabularySize: Int
    /// As the runner declared it.
    package let kvCache: KVCacheSpec
    /// What the model gives instead of tokens; nil where it generates.
    package let pooled: PooledOutput?
    let capacity: CacheCapacity
    let inbox: Mailbox<Inbox>
    private let status: EngineStatus
    private let hashKey: HashKey

    /// Starts the engine's thread, which takes `runner` over: nobody else may touch it until `shutdown` has returned.
    /// - Throws: `ConfigurationError` if the limits contradict each other or the runner.
    package init(configuration: EngineConfiguration, runner: sending any StepRunner) throws(ConfigurationError) {
        var configuration = configuration
        if runner.needsWholeSequences {
            // A later token changes what an earlier one gives: nothing can be cut or reused.
            configuration.scheduler.wholeSequences = true
            configuration.scheduler.chunkedPrefill = false
            configuration.prefixCaching = false
        }
        let kvCache = runner.kvCache
        let vocabularySize = min(configuration.vocabularySize ?? .max, runner.vocabularySize)
        try configuration.validate(kvCache: kvCache, vocabularySize: vocabularySize)
        self.configuration = configuration
        self.kvCache = kvCache
        pooled = runner.pooled
        self.vocabularySize = vocabularySize
        capacity = CacheCapacity(kvCache)
        hashKey = configuration.hashKey ?? .random()
        inbox = Mailbox(Inbox())
        status = EngineStatus(maxModelLength: configuration.maxModelLength)
        let (inbox, status, hashKey, final) = (inbox, status, hashKey, configuration)
        startThread {
            var core = EngineCore(
                configuration: final, vocabularySize: vocabularySize, hashKey: hashKey, runner: runner, inbox: inbox, status: status)
            core.run()
        }
    }

    deinit {
        inbox.post { $0.isStopping = true }
    }

    /// Checks the request and queues it.
    /// - Throws: why it can never run, or that the queue is full or closed.
    package func submit(_ request: EngineRequest) throws(EngineError) -> RequestOutputs {
        try check(request)
        let known = request.promptTokenIDs + request.outputTokensSoFar
        let submission = (
            hashes: configuration.prefixCaching
                ? BlockHash.chain(over: known, of: request, kvCache, key: hashKey) : [],
            stream: OutputStream(),
            seed: request.sampling.seed ?? UInt64.random(in: .min ... .max),
            arrival: request.arrival ?? .now
        )
        let limits = (requests: configuration.maxWaitingRequests, tokens: configuration.maxWaitingTokens)
        let id: RequestID = try inbox.post { inbox throws(EngineError) in
            guard inbox.isAccepting, !inbox.isStopping else { throw .notAccepting }
            if let adapter = request.loraID, !inbox.adapters.contains(adapter) { throw .unknownAdapter(adapter) }
            if inbox.waitingRequests >= limits.requests {
                inbox.rejections += 1
                throw .queueFull(waiting: inbox.waitingRequests, limit: limits.requests)
            }
            // A single prompt over the limit still runs when nothing else waits.
            if let limit = limits.tokens, inbox.waitingRequests > 0, inbox.waitingTokens + known.count > limit {
                inbox.rejections += 1
                throw .tokenQueueFull(waitingTokens: inbox.waitingTokens, limit: limit)
            }
            let id = RequestID(value: inbox.nextID)
            inbox.nextID += 1
            inbox.waitingRequests += 1
            inbox.waitingTokens += known.count
            inbox.submissions.append(
                Inbox.Submission(
                    id: id, request: request, hashes: submission.hashes, stream: submission.stream, seed: submission.seed,
                    arrival: submission.arrival))
            return id
        }
        return RequestOutputs(id: id, lease: RequestLease(id: id, stream: submission.stream, inbox: inbox))
    }

    /// Ends the request before the next step; its reader gets `finished` with `abort` for each open choice. Unknown ids are ignored.
    package func cancel(_ id: RequestID) {
        inbox.post { $0.cancel(id) }
    }

    package func cancelAll() {
        inbox.post { $0.cancelsAll = true }
    }

    /// Forgets all cached prefixes.
    /// - Returns: false, and nothing happens, while any sequence holds blocks.
    package func resetPrefixCache() async -> Bool {
        await withCheckedContinuation { continuation in
            let stopped = inbox.post { inbox in
                if !inbox.hasStopped { inbox.resets.append(continuation) }
                return inbox.hasStopped
            }
            if stopped { continuation.resume(returning: false) }
        }
    }

    /// Takes no more requests, finishes what is accepted, then stops the thread.
    /// - Parameter limit: after it the rest is aborted.
    package func drain(within limit: Duration) async {
        let nanoseconds = limit.components.seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let span = nanoseconds.overflow ? Int64.max / 2 : nanoseconds.partialValue &+ limit.components.attoseconds / 1_000_000_000
        let deadline = MonotonicTime(nanoseconds: MonotonicTime.now.nanoseconds &+ min(max(0, span), .max / 4))
        inbox.post { inbox in
            inbox.isAccepting = false
            inbox.deadline = min(deadline, inbox.deadline ?? deadline)
        }
        await stopped()
    }

    /// Stops after the current step and aborts everything.
    package func shutdown() async {
        inbox.post { inbox in
            inbox.isAccepting = false
            inbox.isStopping = true
        }
        await stopped()
    }

    private func stopped() async {
        await withCheckedContinuation { continuation in
            let already = inbox.withLock { inbox in
                if !inbox.hasStopped { inbox.stopWaiters.append(continuation) }
                return inbox.hasStopped
            }
            if already { continuation.resume() }
        }
    }

    /// Figures after the latest step.
    package var snapshot: EngineSnapshot {
        var snapshot = status.snapshot
        inbox.withLock { inbox in
            snapshot.isAccepting = inbox.isAccepting && !inbox.isStopping
            snapshot.admissionRejections = inbox.rejections
        }
        return snapshot
    }

    /// How long the step in progress has been running; nil between steps and when idle. For the watchdog behind /health.
    package var currentStepDuration: Duration? { status.currentStepDuration }

    /// False once the thread has ended.
    package var isAlive: Bool { inbox.withLock { !$0.hasStopped } }
}
