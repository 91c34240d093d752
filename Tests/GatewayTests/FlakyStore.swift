import Jobs
import Synchronization

/// A store of which single calls can be made to fail or to wait.
final class FlakyStore: JobStore {
    enum Call {
        case definitions, record
        /// Fails when the write has its place already.
        case commit
        case apply
    }

    private let inner: any JobStore
    private let failing = Mutex<Set<Call>>([])
    private let afterKeys = Mutex<(@Sendable () async -> Void)?>(nil)
    private let beforeSubmit = Mutex<(@Sendable () async -> Void)?>(nil)
    /// Calls that failed, keys that were removed.
    let failures: AsyncStream<Call>
    let removals: AsyncStream<String>
    private let failed: AsyncStream<Call>.Continuation
    private let removed: AsyncStream<String>.Continuation

    init(_ inner: any JobStore) {
        self.inner = inner
        (failures, failed) = AsyncStream.makeStream()
        (removals, removed) = AsyncStream.makeStream()
    }

    func fail(_ calls: Set<Call>) { failing.withLock { $0 = calls } }

    /// - hold: runs between the next reading of the keys and the answer.
    func holdKeys(_ hold: @escaping @Sendable () async -> Void) { afterKeys.withLock { $0 = hold } }

    /// - hold: runs before the next jobs are stored.
    func holdSubmit(_ hold: @escaping @Sendable () async -> Void) { beforeSubmit.withLock { $0 = hold } }

    private func check(_ call: Call) throws(StoreError) {
        guard failing.withLock({ $0.contains(call) }) else { return }
        failed.yield(call)
        throw .unavailable("it was told to fail")
    }

    // MARK: Calls with a will of their own

    func definitions() async throws(StoreError) -> [(id: EndpointID, json: [UInt8])] {
        try check(.definitions)
        return try await inner.definitions()
    }

    func apply(_ steps: [JobStep], _ durability: Durability) async throws(StoreError) -> [JobVerdict] {
        try check(.apply)
        return try await inner.apply(steps, durability)
    }

    func record(_ id: JobID) async throws(StoreError) -> (job: Job, result: JobResult)? {
        try check(.record)
        return try await inner.record(id)
    }

    func keys() async throws(StoreError) -> [AccessKey] {
        let keys = try await inner.keys()
        let hold = afterKeys.withLock { hold in
            defer { hold = nil }
            return hold
        }
        await hold?()
        return keys
    }

    func removeKey(_ name: String) async throws(StoreError) {
        try await inner.removeKey(name)
        removed.yield(name)
    }

    // MARK: The others

    var isShared: Bool { inner.isShared }
    func submit(_ jobs: [NewJob], _ durability: Durability, placed: @escaping @Sendable () -> Void) async throws(StoreError) {
        let hold = beforeSubmit.withLock { hold in
            defer { hold = nil }
            return hold
        }
        await hold?()
        if failing.withLock({ $0.contains(.commit) }) { placed() }
        try check(.commit)
        try await inner.submit(jobs, durability, placed: placed)
    }
    func job(_ id: JobID) async throws(StoreError) -> Job? { try await inner.job(id) }
    func payload(_ id: JobID) async throws(StoreError) -> JobPayload? { try await inner.payload(id) }
    func chunks(_ id: JobID, from index: Int, limit: Int) async throws(StoreError) -> [JobChunk] { try await inner.chunks(id, from: index, limit: limit) }
    func jobs(_ endpoint: EndpointID, in state: JobState, limit: Int) async throws(StoreError) -> [Job] { try await inner.jobs(endpoint, in: state, limit: limit) }
    func purge(_ endpoint: EndpointID, at now: Timestamp) async throws(StoreError) -> [Job] { try await inner.purge(endpoint, at: now) }
    func expire(at now: Timestamp, limit: Int) async throws(StoreError) -> [Job] { try await inner.expire(at: now, limit: limit) }
    func counts(_ endpoint: EndpointID) async throws(StoreError) -> JobCounts { try await inner.counts(endpoint) }
    func log(_ query: JobLogQuery) async throws(StoreError) -> [JobLogEntry] { try await inner.log(query) }
    func trimLog(before time: Timestamp, keeping limit: Int) async throws(StoreError) { try await inner.trimLog(before: time, keeping: limit) }
    func dueWebhooks(at now: Timestamp, limit: Int, leaseMilliseconds: Int) async throws(StoreError) -> [WebhookDelivery] {
        try await inner.dueWebhooks(at: now, limit: limit, leaseMilliseconds: leaseMilliseconds)
    }
    func settleWebhook(_ id: JobID, tries: Int, next: Timestamp?) async throws(StoreError) { try await inner.settleWebhook(id, tries: tries, next: next) }
    func save(_ worker: WorkerRecord) async throws(StoreError) { try await inner.save(worker) }
    func workers() async throws(StoreError) -> [WorkerRecord] { try await inner.workers() }
    func removeWorker(_ id: WorkerID) async throws(StoreError) { try await inner.removeWorker(id) }
    func addWorkerTime(_ endpoint: EndpointID, milliseconds: Int) async throws(StoreError) { try await inner.addWorkerTime(endpoint, milliseconds: milliseconds) }
    func saveDefinition(_ id: EndpointID, json: [UInt8]) async throws(StoreError) { try await inner.saveDefinition(id, json: json) }
    func removeDefinition(_ id: EndpointID) async throws(StoreError) { try await inner.removeDefinition(id) }
    func saveKey(_ key: AccessKey) async throws(StoreError) { try await inner.saveKey(key) }
    func lead(_ replica: String, at now: Timestamp, milliseconds: Int) async throws(StoreError) -> Bool {
        try await inner.lead(replica, at: now, milliseconds: milliseconds)
    }
    func changes() -> AsyncStream<StoreChange> { inner.changes() }
    func close() async { await inner.close() }
}
