internal import Jobs

/// How many workers a queue asks for, before bounds.
///
/// - `REQUEST_COUNT`: one for each `value` jobs, waiting or running, rounded up.
/// - `QUEUE_DELAY`: those that are there, and one more for each full `value` seconds that the oldest job has waited. Workers started since
///   that job came in count as added already, ready or not, so that a wait of any length adds one worker per `value` seconds and no more,
///   and no more workers start at a time than jobs wait. While no job of normal priority waits, no more than have jobs.
///
/// Under both rules the first job starts a worker at once where none is, and jobs of low priority ask for none.
struct Demand {
    /// Workers that the rule asks for, at least 0.
    let workers: Int
    /// The rule's reckoning, for people.
    let explanation: String

    /// - Parameters:
    ///   - capacity: workers that take jobs or will.
    ///   - starting: how many of them are not ready yet.
    ///   - startedSince: how many of them were started at or after a moment.
    init(_ view: FleetView, capacity: Int, starting: Int, busy: Int, startedSince: (Timestamp) -> Int) {
        let queue = view.queue, value = view.settings.value
        let jobs = "\(queue.inQueue) waiting, \(queue.inProgress) running"
        switch view.settings.rule {
        case .requestCount:
            workers = Self.ceiling(Double(queue.normal) / value)
            explanation = "\(jobs): \(workers) for \(Self.text(value)) jobs a worker"
        case .queueDelay:
            guard queue.normalInQueue > 0 else {
                workers = busy
                explanation = jobs
                return
            }
            let oldest = queue.oldestQueuedAt ?? view.now
            let waited = max(0, view.now - oldest)
            let steps = Int(min(Double(waited) / (value * 1000), 1e9))
            let added = steps == 0 ? 0 : startedSince(oldest)
            workers = max(1, capacity + max(0, min(steps - added, queue.normalInQueue - starting)))
            explanation = "\(jobs), the oldest for \(waited / 1000) s: one more for each \(Self.text(value)) s"
        }
    }

    private static func ceiling(_ value: Double) -> Int { value.isFinite ? Int(min(value.rounded(.up), 1e9)) : 0 }
    private static func text(_ value: Double) -> String { value == value.rounded() && value < 1e9 ? String(Int(value)) : String(value) }
}
