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

        /// Lets go of places at the front whose jobs are gone.
        mutating func dropFront(while isGone: (JobID) -> Bool) {
            while head < jobs.count, isGone(jobs[head].id) {
                jobs[head].payload = nil
                head += 1
            }
            compact()
        }

        private mutating func compact() {
            guard head > 64, head * 2 > jobs.count else { return }
            jobs.removeFirst(head)
            head = 0
        }

        mutating func pop() -> QueuedJob? {
            guard head < jobs.count else { return nil }
            let job = jobs[head]
            // The place keeps the bytes alive otherwise.
            jobs[head].payload = nil
            head += 1
            compact()
            return job
        }
    }

    package init() {}

    private var normal = Line()
    private var low = Line()
    /// What is known of each waiting job besides its place.
    private struct Waiting {
        var isLow: Bool
        var payloadByteCount: Int
    }

    private var present: [JobID: Waiting] = [:]
    package private(set) var payloadByteCount = 0

    /// Waiting jobs.
    package var count: Int { present.count }
    package private(set) var lowPriorityCount = 0
    /// When the first job of normal priority entered the queue.
    package var oldestQueuedAt: Timestamp? {
        // `remove` leaves no gone job at the front.
        normal.head < normal.jobs.count ? normal.jobs[normal.head].job.queuedAt : nil
    }

    package func contains(_ id: JobID) -> Bool { present[id] != nil }

    /// - Parameter toFront: for jobs that come back.
    package mutating func push(_ job: QueuedJob, toFront: Bool = false) {
        guard present[job.id] == nil else { return }
        let isLow = job.job.policy.lowPriority
        let byteCount = job.payload?.input.count ?? 0
        present[job.id] = Waiting(isLow: isLow, payloadByteCount: byteCount)
        if isLow { lowPriorityCount += 1 }
        payloadByteCount += byteCount
        if isLow { low.push(job, toFront: toFront) } else { normal.push(job, toFront: toFront) }
    }

    package mutating func pop() -> QueuedJob? {
        while let job = normal.pop() ?? low.pop() {
            if remove(job.id) { return job }
        }
        return nil
    }

    /// The job waits no more. Its place in line goes when those before it have gone.
    @discardableResult
    package mutating func remove(_ id: JobID) -> Bool {
        guard let waiting = present.removeValue(forKey: id) else { return false }
        if waiting.isLow { lowPriorityCount -= 1 }
        payloadByteCount -= waiting.payloadByteCount
        let present = present
        if waiting.isLow { low.dropFront { present[$0] == nil } } else { normal.dropFront { present[$0] == nil } }
        return true
    }

    package var ids: Set<JobID> { Set(present.keys) }
}
