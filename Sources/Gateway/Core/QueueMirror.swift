package import Jobs

/// A waiting job as the dispatcher sees it.
package struct QueuedJob: Sendable {
    package var job: Job
    /// Kept for jobs that came in here while memory allows; else read from the store when the job is handed out.
    package var payload: JobPayload?

    package init(job: Job, payload: JobPayload? = nil) {
        self.job = job
        self.payload = payload
    }

    package var id: JobID { job.id }
}

/// The jobs of one endpoint that wait, as far as this gateway knows: a hint, the store decides who gets one. Jobs of normal priority go first, each kind
/// in the order in which it came.
package struct QueueMirror: Sendable {
    private struct Line {
        var jobs: [QueuedJob] = []
        var head = 0

        mutating func push(_ job: QueuedJob, toFront: Bool) {
            guard toFront else { return jobs.append(job) }
            if head > 0 {
                head -= 1
                jobs[head] = job
            } else {
                jobs.insert(job, at: 0)
            }
        }

        mutating func pop() -> QueuedJob? {
            guard head < jobs.count else { return nil }
            let job = jobs[head]
            // The place keeps the bytes alive otherwise.
            jobs[head].payload = nil
            head += 1
            if head > 64, head * 2 > jobs.count {
                jobs.removeFirst(head)
                head = 0
            }
            return job
        }
    }

    package init() {}

    private var normal = Line()
    private var low = Line()
    private var present: [JobID: Bool] = [:]
    package private(set) var payloadByteCount = 0

    /// Waiting jobs.
    package var count: Int { present.count }
    package private(set) var lowPriorityCount = 0
    /// When the first job of normal priority entered the queue.
    package var oldestQueuedAt: Timestamp? {
        var place = normal.head
        while place < normal.jobs.count {
            if present[normal.jobs[place].id] != nil { return normal.jobs[place].job.queuedAt }
            place += 1
        }
        return nil
    }

    package func contains(_ id: JobID) -> Bool { present[id] != nil }

    /// - Parameter toFront: for jobs that come back.
    package mutating func push(_ job: QueuedJob, toFront: Bool = false) {
        guard present[job.id] == nil else { return }
        let isLow = job.job.policy.lowPriority
        present[job.id] = isLow
        if isLow { lowPriorityCount += 1 }
        payloadByteCount += job.payload?.input.count ?? 0
        if isLow { low.push(job, toFront: toFront) } else { normal.push(job, toFront: toFront) }
    }

    package mutating func pop() -> QueuedJob? {
        while let job = normal.pop() ?? low.pop() {
            payloadByteCount -= job.payload?.input.count ?? 0
            if remove(job.id) { return job }
        }
        return nil
    }

    /// The job waits no more. Its place in line goes when its turn comes.
    @discardableResult
    package mutating func remove(_ id: JobID) -> Bool {
        guard let isLow = present.removeValue(forKey: id) else { return false }
        if isLow { lowPriorityCount -= 1 }
        return true
    }

    package var ids: Set<JobID> { Set(present.keys) }
}
