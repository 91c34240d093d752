package import Jobs

/// All that a scaling decision depends on. No clock, no store: whoever asks fills it in.
package struct FleetView: Sendable {
    package var now: Timestamp
    package var settings: ScalingSettings
    package var queue: QueueFigures
    /// Workers of the endpoint; those that are over may be left out.
    package var workers: [WorkerView]
    package var history: StartHistory
    /// Seconds that a worker may take from its start to its first take.
    package var initTimeoutSeconds: Int
    /// Set where a platform keeps a number of workers up and picks them itself (`FleetProvider`).
    package var platform: PlatformFigures?

    package init(
        now: Timestamp, settings: ScalingSettings, queue: QueueFigures, workers: [WorkerView], history: StartHistory = StartHistory(),
        initTimeoutSeconds: Int = 420, platform: PlatformFigures? = nil
    ) {
        self.now = now
        self.settings = settings
        self.queue = queue
        self.workers = workers
        self.history = history
        self.initTimeoutSeconds = initTimeoutSeconds
        self.platform = platform
    }
}

/// What waits and what runs.
package struct QueueFigures: Sendable, Equatable {
    package var inQueue: Int
    /// Of `inQueue`, those with low priority.
    package var lowPriorityInQueue: Int
    package var inProgress: Int
    /// Of `inProgress`, those with low priority; 0 where that is not known.
    package var lowPriorityInProgress: Int
    /// When the oldest waiting job of normal priority entered the queue.
    package var oldestQueuedAt: Timestamp?

    package init(
        inQueue: Int = 0, lowPriorityInQueue: Int = 0, inProgress: Int = 0, lowPriorityInProgress: Int = 0, oldestQueuedAt: Timestamp? = nil
    ) {
        self.inQueue = inQueue
        self.lowPriorityInQueue = lowPriorityInQueue
        self.inProgress = inProgress
        self.lowPriorityInProgress = lowPriorityInProgress
        self.oldestQueuedAt = oldestQueuedAt
    }

    package init(_ counts: JobCounts) {
        self.init(
            inQueue: counts.inQueue, lowPriorityInQueue: counts.lowPriorityInQueue, inProgress: counts.inProgress,
            oldestQueuedAt: counts.oldestQueuedAt)
    }

    var normalInQueue: Int { max(0, inQueue - lowPriorityInQueue) }
    /// Jobs that may make workers start.
    var normal: Int { normalInQueue + max(0, inProgress - lowPriorityInProgress) }
}

/// A worker as far as scaling cares.
package struct WorkerView: Sendable, Equatable {
    package let id: WorkerID
    package var state: WorkerState
    package var startedAt: Timestamp
    /// When it got room and began to load, if it had to wait for that (`throttled`); nil: at `startedAt`.
    package var loadingSince: Timestamp?
    /// First take.
    package var readyAt: Timestamp?
    /// Since when it has had no job; nil: since its first take.
    package var idleSince: Timestamp?
    /// Jobs that it has now.
    package var running: Int
    /// Started with another version of the definition.
    package var isOutdated: Bool
    /// Asked to end, and not known to be gone: it takes up a place and needs nothing more.
    package var isStopping: Bool
    /// Whether we started it and may stop it; workers that come by themselves with a worker key are not ours.
    package var isManaged: Bool
    /// Why it is in this state, for people.
    package var reason: String?

    package init(
        id: WorkerID, state: WorkerState, startedAt: Timestamp, loadingSince: Timestamp? = nil, readyAt: Timestamp? = nil,
        idleSince: Timestamp? = nil, running: Int = 0, isOutdated: Bool = false, isStopping: Bool = false, isManaged: Bool = true,
        reason: String? = nil
    ) {
        self.id = id
        self.state = state
        self.startedAt = startedAt
        self.loadingSince = loadingSince
        self.readyAt = readyAt
        self.idleSince = idleSince
        self.running = running
        self.isOutdated = isOutdated
        self.isStopping = isStopping
        self.isManaged = isManaged
        self.reason = reason
    }

    var isReady: Bool { state == .idle || state == .running }
    var isIdle: Bool { isReady && running == 0 }
    var hasLeft: Bool { (state == .stopped || state == .unhealthy) && !isStopping }

    /// Milliseconds without a job; 0 for a worker that has one or is not ready.
    func idleMilliseconds(at now: Timestamp) -> Int {
        guard isIdle else { return 0 }
        return max(0, now - (idleSince ?? readyAt ?? startedAt))
    }

    func hasTimedOut(at now: Timestamp, initTimeoutSeconds: Int) -> Bool {
        state == .initializing && now - (loadingSince ?? startedAt) >= initTimeoutSeconds * 1000
    }
}

/// How many workers a platform was told to have, and has.
package struct PlatformFigures: Sendable, Equatable {
    package var wanted: Int
    package var ready: Int
    /// Why it cannot have more.
    package var reason: String?

    package init(wanted: Int, ready: Int, reason: String? = nil) {
        self.wanted = wanted
        self.ready = ready
        self.reason = reason
    }
}
