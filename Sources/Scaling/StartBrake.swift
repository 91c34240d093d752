internal import Jobs

/// Whether workers may be started now, given how the last starts went.
enum StartBrake: Equatable {
    /// As many as wanted.
    case open
    /// One, to see whether it works now; none where one is starting already.
    case probe(reason: String)
    /// None for this many milliseconds.
    case wait(milliseconds: Int, reason: String)
    /// None; jobs that wait would wait for nothing.
    case givenUp(reason: String)

    /// Time after giving up in which new jobs fail at once; the first job after it brings another try.
    static let coolDownMilliseconds = 30_000
    /// Time after giving up to the next try where workers are kept up (`workersMin`) though no job waits.
    static let keptUpMilliseconds = 300_000
    static let longestBackoffMilliseconds = 60_000

    init(_ view: FleetView, hasReady: Bool, isStarting: Bool) {
        let history = view.history
        guard history.quickExits > 0, let last = history.lastQuickExit else {
            self = .open
            return
        }
        let past = view.now - last.endedAt
        guard history.quickExits >= view.settings.maxQuickExits else {
            let backoff = min(Self.longestBackoffMilliseconds, 1000 << min(history.quickExits - 1, 16))
            let reason = "the last worker ended before its first job (\(history.quickExits) in a row): \(last.reason)"
            self = past < backoff ? .wait(milliseconds: backoff - past, reason: reason) : .probe(reason: reason)
            return
        }
        let reason = "workers end before their first job, \(history.quickExits) in a row, and no more are started for now; the last: \(last.reason)"
        if hasReady {
            // The others serve the queue; now and then one more is tried.
            let rest = Self.longestBackoffMilliseconds - past
            self = rest > 0 ? .wait(milliseconds: rest, reason: reason) : .probe(reason: reason)
        } else if isStarting {
            self = .probe(reason: reason)
        } else if past >= Self.coolDownMilliseconds, view.queue.normalInQueue > 0 || past >= Self.keptUpMilliseconds {
            self = .probe(reason: reason)
        } else {
            self = .givenUp(reason: reason)
        }
    }

    var reason: String? {
        switch self {
        case .open: nil
        case .probe(let reason), .wait(_, let reason), .givenUp(let reason): reason
        }
    }
}
