package import Jobs

/// How starts of an endpoint's workers went lately: what the limit on starts and the brake on crash loops need to know.
///
/// A *quick exit* is a worker that ended by itself before its first take, or within seconds of it without having finished a job. Quick exits
/// in a row make the next start wait 1, 2, 4, … 60 s, and after `maxQuickExits` of them starts end: see `StartBrake`.
package struct StartHistory: Sendable, Equatable {
    /// A worker that ends this soon after its first take, no job finished, was no good.
    static let quickMilliseconds = 10_000
    /// A worker that lived this long after its first take was good, job or no job.
    static let soundMilliseconds = 60_000

    package struct QuickExit: Sendable, Equatable {
        package var startedAt: Timestamp
        package var endedAt: Timestamp
        package var reason: String
    }

    /// Starts of the last minute.
    private(set) var starts: [Timestamp] = []
    /// Quick exits in a row; workers that were started together and die together count as one.
    package private(set) var quickExits = 0
    /// The last of them.
    package private(set) var lastQuickExit: QuickExit?

    package init() {}

    /// `count` workers are ordered.
    package mutating func started(_ count: Int = 1, at now: Timestamp) {
        starts.removeAll { now - $0 >= 60_000 }
        starts.append(contentsOf: repeatElement(now, count: max(0, count)))
    }

    /// A worker is over.
    /// - Parameters:
    ///   - wasAsked: we stopped it, for another reason than that it never became ready.
    ///   - reason: exit code and last log lines, for people.
    package mutating func ended(startedAt: Timestamp, readyAt: Timestamp?, jobsDone: Int, wasAsked: Bool, reason: String, at now: Timestamp) {
        if jobsDone > 0 { return succeeded(startedAt: startedAt) }
        guard !wasAsked else { return }
        if let readyAt {
            if now - readyAt >= Self.soundMilliseconds { return succeeded(startedAt: startedAt) }
            guard now - readyAt < Self.quickMilliseconds else { return }
        }
        // One of those that were started before the last exit was known: it says nothing new.
        if let last = lastQuickExit, startedAt <= last.endedAt { return }
        quickExits += 1
        lastQuickExit = QuickExit(startedAt: startedAt, endedAt: now, reason: reason)
    }

    /// A worker could not even be ordered: the program is missing, the cluster refuses.
    /// - Parameter orderedAt: time of the plan that ordered it, the same for all workers of that plan.
    package mutating func failedToStart(orderedAt: Timestamp, reason: String, at now: Timestamp) {
        ended(startedAt: orderedAt, readyAt: nil, jobsDone: 0, wasAsked: false, reason: reason, at: now)
    }

    /// A worker finished a job. Ends the row, unless it was started before the worker that failed: that one may well go on while
    /// newer ones find no memory.
    package mutating func succeeded(startedAt: Timestamp) {
        guard let last = lastQuickExit, startedAt >= last.startedAt else { return }
        quickExits = 0
        lastQuickExit = nil
    }

    /// The definition changed: what failed may work now.
    package mutating func reset() {
        quickExits = 0
        lastQuickExit = nil
    }

    func startsInLastMinute(at now: Timestamp) -> Int { starts.count { now - $0 < 60_000 } }
}
