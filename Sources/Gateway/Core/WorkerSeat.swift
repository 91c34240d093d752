internal import Jobs

/// A worker as the dispatcher sees it.
struct WorkerSeat: Sendable {
    struct Held: Sendable {
        var attempt: Int
        var takenAt: Timestamp
        /// When the job has run too long.
        var deadline: Timestamp?
        /// Pings in a row that did not name the job.
        var missedPings = 0
        var origin: JobOrigin
    }

    var record: WorkerRecord
    var held: [JobID: Held] = [:]
    /// Jobs that it is to stop, until it has been told.
    var stops: [JobID] = []
    /// The most jobs it has asked for at once.
    var largestBatch = 1
    var idleSince: Timestamp?
    var seen = SeenPrefixes()
    /// When the record was last written.
    var savedAt = Timestamp(milliseconds: 0)
    var changedSinceSave = false
    var previousPing: Timestamp?
    /// Jobs that it was told to stop and still names in its pings, and since when.
    var lingering: [JobID: Timestamp] = [:]
    /// When it got room, if it had to wait for that.
    var loadingSince: Timestamp?
    /// Asked to end.
    var isStopping = false
    /// Why it was asked to end is our own wish, not a failure of the worker.
    var wasAsked = false
    /// Phases of its start as JSON text, as our own worker tells them.
    var coldStart: String?

    init(record: WorkerRecord) { self.record = record }

    var isOpen: Bool { record.state == .initializing || record.state == .idle || record.state == .running }

    /// Notes a sign of life and what it means for the state.
    mutating func sawLife(at now: Timestamp) {
        record.seenAt = now
        refreshState(at: now)
    }

    mutating func refreshState(at now: Timestamp) {
        guard record.readyAt != nil, record.state == .initializing || record.state == .idle || record.state == .running else { return }
        let state: WorkerState = held.isEmpty ? .idle : .running
        if state == .idle, idleSince == nil { idleSince = now }
        if state == .running { idleSince = nil }
        if record.state != state {
            record.state = state
            changedSinceSave = true
        }
    }
}
