/// Where jobs, workers, keys and endpoints live. One implementation on SQLite, one on PostgreSQL, one test suite for both.
///
/// Every write is one transaction, or part of a larger one: implementations gather what callers bring at the same time into one commit
/// (group commit). A call returns once its transaction is committed. Calls may be made from any task; each is atomic.
/// A call that fails with `unavailable` may or may not have been carried out: all calls can be repeated, a repeated one changes nothing more.
package protocol JobStore: Sendable {
    /// Whether other gateways write to this store too: then `changes()` tells of it, and nothing kept in memory is the whole truth.
    var isShared: Bool { get }

    // MARK: Jobs

    /// Adds jobs; one whose id is there already is left alone.
    /// - Parameter placed: called once, before the commit: writes that are brought from then on come after this one.
    func submit(_ jobs: [NewJob], _ durability: Durability, placed: @escaping @Sendable () -> Void) async throws(StoreError)

    /// Applies steps in order with `JobMachine`, each job locked meanwhile.
    /// - Returns: one verdict a step.
    func apply(_ steps: [JobStep], _ durability: Durability) async throws(StoreError) -> [JobVerdict]

    func job(_ id: JobID) async throws(StoreError) -> Job?
    /// A job with its output and error, read together.
    func record(_ id: JobID) async throws(StoreError) -> (job: Job, result: JobResult)?
    func payload(_ id: JobID) async throws(StoreError) -> JobPayload?
    /// Chunks of a job from `index` on, in order.
    func chunks(_ id: JobID, from index: Int, limit: Int) async throws(StoreError) -> [JobChunk]

    /// Jobs in this state, oldest in the queue first.
    func jobs(_ endpoint: EndpointID, in state: JobState, limit: Int) async throws(StoreError) -> [Job]
    /// Cancels all jobs that wait.
    /// - Returns: those that were.
    func purge(_ endpoint: EndpointID, at now: Timestamp) async throws(StoreError) -> [Job]
    /// Removes jobs whose `expiresAt` has passed, in whatever state, with all that belongs to them, at most `limit` at a time.
    /// - Returns: those removed, as they were.
    func expire(at now: Timestamp, limit: Int) async throws(StoreError) -> [Job]
    func counts(_ endpoint: EndpointID) async throws(StoreError) -> JobCounts

    // MARK: Job log

    /// Ended jobs, newest first; kept after the jobs themselves are gone.
    func log(_ query: JobLogQuery) async throws(StoreError) -> [JobLogEntry]
    /// Removes entries that ended before `time`, and the oldest ones beyond `limit`.
    func trimLog(before time: Timestamp, keeping limit: Int) async throws(StoreError)

    // MARK: Webhooks

    /// Deliveries that are due, each handed to one caller: it is not due again before `leaseMilliseconds` have passed.
    func dueWebhooks(at now: Timestamp, limit: Int, leaseMilliseconds: Int) async throws(StoreError) -> [WebhookDelivery]
    /// - next: when to try again; nil: delivered, or given up.
    func settleWebhook(_ id: JobID, tries: Int, next: Timestamp?) async throws(StoreError)

    // MARK: Workers

    func save(_ worker: WorkerRecord) async throws(StoreError)
    func workers() async throws(StoreError) -> [WorkerRecord]
    func removeWorker(_ id: WorkerID) async throws(StoreError)
    /// Adds to what an endpoint's workers have cost so far.
    func addWorkerTime(_ endpoint: EndpointID, milliseconds: Int) async throws(StoreError)

    // MARK: Definitions and keys made over the admin API

    func saveDefinition(_ id: EndpointID, json: [UInt8]) async throws(StoreError)
    func definitions() async throws(StoreError) -> [(id: EndpointID, json: [UInt8])]
    /// Removes a definition, not its jobs.
    func removeDefinition(_ id: EndpointID) async throws(StoreError)
    func saveKey(_ key: AccessKey) async throws(StoreError)
    func keys() async throws(StoreError) -> [AccessKey]
    func removeKey(_ name: String) async throws(StoreError)

    // MARK: Replicas

    /// Takes or renews the leadership (scaling, expiry, webhooks are one replica's work).
    /// - Returns: whether `replica` leads for the next `milliseconds`.
    func lead(_ replica: String, at now: Timestamp, milliseconds: Int) async throws(StoreError) -> Bool
    /// What other replicas change, from now on. Ends with `close`. A store that lost its connection sends `.everything` when it is back.
    func changes() -> AsyncStream<StoreChange>

    func close() async
}

extension JobStore {
    package func submit(_ jobs: [NewJob], _ durability: Durability) async throws(StoreError) { try await submit(jobs, durability) {} }
}

/// How much a write must survive before the call returns.
package enum Durability: Sendable, Equatable {
    /// The death of any process.
    case committed
    /// Also a loss of power: the write is on the disk.
    case synced
}

package struct NewJob: Sendable, Equatable {
    package var job: Job
    package var payload: JobPayload

    package init(job: Job, payload: JobPayload) {
        self.job = job
        self.payload = payload
    }
}

/// Figures of an endpoint: how many jobs are in which state now, and what happened since it was created.
package struct JobCounts: Sendable, Equatable {
    package var inQueue = 0
    /// Of `inQueue`, those with low priority.
    package var lowPriorityInQueue = 0
    package var inProgress = 0
    /// When the oldest waiting job of normal priority entered the queue; nil: none waits.
    package var oldestQueuedAt: Timestamp?

    package var completed = 0
    package var failed = 0
    package var cancelled = 0
    package var timedOut = 0
    /// Hand-outs that ended with the loss of the worker.
    package var retried = 0
    package var workerMilliseconds = 0

    package init() {}
}

/// A webhook that has to be sent: the job is over.
package struct WebhookDelivery: Sendable, Equatable {
    package var job: JobID
    package var url: String
    /// Tries made so far.
    package var tries: Int

    package init(job: JobID, url: String, tries: Int) {
        self.job = job
        self.url = url
        self.tries = tries
    }
}

/// What another replica did.
package enum StoreChange: Sendable, Equatable {
    /// A job entered the queue, changed state or progress.
    case job(JobID, EndpointID, JobState)
    case chunks(JobID, EndpointID)
    case workers
    case definitions
    case keys
    /// Anything may have changed.
    case everything
}

package enum StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The store cannot be reached or is busy; trying again may help.
    case unavailable(String)
    /// The store refuses for good: wrong password, unreadable file, newer schema, full disk.
    case broken(String)

    package var description: String {
        switch self {
        case .unavailable(let reason): "the job store is not available: \(reason)"
        case .broken(let reason): "the job store cannot be used: \(reason)"
        }
    }

    package var isTransient: Bool { if case .unavailable = self { true } else { false } }
}
