internal import Sampling
internal import Step

/// The engine's state, a value that only the engine thread touches: mail in, steps, deliveries out.
struct EngineCore {
    let configuration: EngineConfiguration
    let vocabularySize: Int
    let hashKey: HashKey
    let runner: any StepRunner
    let inbox: Mailbox<Inbox>
    let status: EngineStatus
    let delivery = DeliveryThread()

    var scheduler: Scheduler
    /// Indexed by request index; nil is vacant.
    var requests: [RequestRecord?] = []
    var vacantRequests: [Int] = []
    var requestIndex: [RequestID: Int] = [:]
    /// Indexed by scheduler slot.
    var choices: [ChoiceRecord] = []
    var sampling: SamplingStage
    var adapterUse = AdapterUse()
    var deliveries: [Delivery] = []
    var nextOrder: UInt64 = 0
    /// Set by the inbox.
    var deadline: MonotonicTime? = nil
    var isStopping = false

    init(
        configuration: EngineConfiguration, vocabularySize: Int, hashKey: HashKey, runner: any StepRunner, inbox: Mailbox<Inbox>,
        status: EngineStatus
    ) {
        self.configuration = configuration
        self.vocabularySize = vocabularySize
        self.hashKey = hashKey
        self.runner = runner
        self.inbox = inbox
        self.status = status
        let cache = KVCache(spec: runner.kvCache, prefixCaching: configuration.prefixCaching, key: hashKey)
        scheduler = Scheduler(limits: configuration.scheduler, cache: cache)
        sampling = SamplingStage(workers: configuration.samplingWorkers)
        status.update { snapshot in
            snapshot.blockSize = cache.spec.blockSize
            snapshot.totalBlocks = cache.capacity.usableBlocks
            snapshot.freeBlocks = cache.capacity.usableBlocks
        }
    }

    /// The engine thread's life.
    mutating func run() {
        delivery.start()
        while true {
            takeMail()
            if isStopping { break }
            if let deadline {
                if requestIndex.isEmpty { break }
                if MonotonicTime.now >= deadline { break }
            }
            runStep()
            delivery.hand(over: &deliveries)
        }
        stop()
    }

    /// Sleeps while there is nothing to do, then applies all mail.
    private mutating func takeMail() {
        let isIdle = scheduler.isIdle
        let mail = inbox.wait(until: { !isIdle || $0.hasMail }) { inbox in
            let mail = Mail(
                submissions: inbox.submissions, cancellations: inbox.cancellations, cancelsAll: inbox.cancelsAll, resets: inbox.resets,
                adapterLoads: inbox.adapterLoads, adapterUnloads: inbox.adapterUnloads)
            if !inbox.submissions.isEmpty { inbox.submissions = [] }
            if !inbox.cancellations.isEmpty { inbox.cancellations = [] }
            if !inbox.resets.isEmpty { inbox.resets = [] }
            if !inbox.adapterLoads.isEmpty { inbox.adapterLoads = [] }
            if !inbox.adapterUnloads.isEmpty { inbox.adapterUnloads = [] }
            inbox.cancelsAll = false
            deadline = inbox.deadline
            isStopping = inbox.isStopping
            return mail
        }
        install(mail.adapterLoads)
        // Before the unloads, since these requests were accepted before them.
        for submission in mail.submissions { admit(submission) }
        unload(mail.adapterUnloads)
        if mail.cancelsAll {
            for id in Array(requestIndex.keys) { abort(id) }
        }
        for id in mail.cancellations { abort(id) }
        for reset in mail.resets { reset.resume(returning: scheduler.resetPrefixCache()) }
        if !mail.isEmpty {
            publishGauges()
            delivery.hand(over: &deliveries)
        }
    }

    private struct Mail {
        let submissions: [Inbox.Submission]
        let cancellations: [RequestID]
        let cancelsAll: Bool
        let resets: [CheckedContinuation<Bool, Never>]
        let adapterLoads: [Inbox.AdapterLoad]
        let adapterUnloads: [Int32]
        var isEmpty: Bool { submissions.isEmpty && cancellations.isEmpty && !cancelsAll && resets.isEmpty }
    }

    /// Aborts what is left and tells everybody who waits for the end.
    private mutating func stop() {
        let (late, resets) = inbox.withLock { inbox in
            inbox.isAccepting = false
            defer {
                inbox.submissions = []
                inbox.resets = []
            }
            return (inbox.submissions, inbox.resets)
        }
        for submission in late { admit(submission) }
        for id in Array(requestIndex.keys) { abort(id) }
        for reset in resets { reset.resume(returning: false) }
        publishGauges()
        delivery.hand(over: &deliveries)
        delivery.close()
        let (waiters, lateResets, lateLoads) = inbox.withLock { inbox in
            inbox.hasStopped = true
            defer {
                inbox.stopWaiters = []
                inbox.resets = []
                inbox.adapterLoads = []
            }
            return (inbox.stopWaiters, inbox.resets, inbox.adapterLoads)
        }
        for load in lateLoads { load.done.resume(returning: .failure(.notAccepting)) }
        for reset in lateResets { reset.resume(returning: false) }
        for waiter in waiters { waiter.resume() }
    }

    func publishGauges() {
        status.update { publishGauges(&$0) }
    }

    func publishGauges(_ snapshot: inout EngineSnapshot) {
        snapshot.runningRequests = scheduler.running.count
        snapshot.waitingRequests = scheduler.waiting.count
        let pool = scheduler.cache.pool
        snapshot.freeBlocks = pool.freeCount
        snapshot.kvCacheUsage = 1 - Double(pool.freeCount) / Double(max(1, pool.count - 1))
        snapshot.preemptions = scheduler.preemptions
        snapshot.prefixCacheQueries = scheduler.prefixQueries
        snapshot.prefixCacheHits = scheduler.prefixHits
    }
}
