package import Jobs

/// A worker as the dispatcher sees it.
package struct WorkerSeat: Sendable {
    package struct Held: Sendable {
        var attempt: Int
        var takenAt: Timestamp
        /// When the job has run too long.
        var deadline: Timestamp?
        /// Pings in a row that did not name the job.
        var missedPings = 0
        var origin: JobOrigin
        var isLowPriority: Bool
    }

    package var record: WorkerRecord
    /// Its jobs, those matched with it included before the store has said so.
    package var held: [JobID: Held] = [:]
    /// Jobs that it is to stop, until it has been told.
    package var stops: [JobID] = []
    /// The most jobs it has asked for at once.
    package var largestBatch = 1
    package var idleSince: Timestamp?
    package var seen = SeenPrefixes()
    /// When the record was last written.
    package var savedAt = Timestamp(milliseconds: 0)
    package var changedSinceSave = false
    package var previousPing: Timestamp?
    /// Jobs that it was told to stop and still names in its pings, and since when.
    package var lingering: [JobID: Timestamp] = [:]
    /// When it got room, if it had to wait for that.
    package var loadingSince: Timestamp?
    /// It has said that it is about to end.
    package var isLeaving = false
    /// Asked to end.
    package var isStopping = false
    /// When the provider was told to end it.
    package var stopOrderedAt: Timestamp?
    /// Why it was asked to end is our own wish, not a failure of the worker.
    package var wasAsked = false
    /// Phases of its start as JSON text, as our own worker tells them.
    package var coldStart: String?

    package init(record: WorkerRecord) { self.record = record }

    package var isOpen: Bool { record.state == .initializing || record.state == .idle || record.state == .running }

    /// Keeps a stop until the worker asks for it. A worker that never asks is told the last ones only.
    mutating func remember(stop job: JobID) {
        if stops.count >= 1000 { stops.removeFirst(500) }
        stops.append(job)
    }

    /// Notes a sign of life and what it means for the state.
    package mutating func sawLife(at now: Timestamp) {
        record.seenAt = now
        refreshState(at: now)
    }

    package mutating func refreshState(at now: Timestamp) {
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
