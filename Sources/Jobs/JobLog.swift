/// One ended job in the job log.
package struct JobLogEntry: Sendable, Equatable {
    package var id: JobID
    package var endpoint: EndpointID
    package var origin: JobOrigin
    package var state: JobState
    package var submittedAt: Timestamp
    package var finishedAt: Timestamp
    /// ms
    package var delayTime: Int
    /// ms
    package var executionTime: Int
    package var worker: WorkerID?
    package var retries: Int
    /// Clipped to 500 characters.
    package var error: String?

    /// The log's entry of a job that has just ended.
    package init(_ job: Job, error: String?) {
        id = job.id
        endpoint = job.endpoint
        origin = job.origin
        state = job.state
        submittedAt = job.submittedAt
        let end = job.finishedAt ?? job.submittedAt
        finishedAt = end
        delayTime = job.delayTime(at: end)
        executionTime = job.executionTime(at: end)
        worker = job.worker
        retries = job.retries
        self.error = error.map { String($0.prefix(500)) }
    }

    package init(
        id: JobID, endpoint: EndpointID, origin: JobOrigin, state: JobState, submittedAt: Timestamp, finishedAt: Timestamp, delayTime: Int,
        executionTime: Int, worker: WorkerID?, retries: Int, error: String?
    ) {
        self.id = id
        self.endpoint = endpoint
        self.origin = origin
        self.state = state
        self.submittedAt = submittedAt
        self.finishedAt = finishedAt
        self.delayTime = delayTime
        self.executionTime = executionTime
        self.worker = worker
        self.retries = retries
        self.error = error
    }
}

package struct JobLogQuery: Sendable, Equatable {
    /// Empty is all.
    package var endpoints: [EndpointID] = []
    package var states: [JobState] = []
    /// Part of an id, a worker's id or an error text; matched without regard to case, `%` and `_` standing for themselves.
    package var text: String?
    /// Entries that ended before this.
    package var before: Timestamp?
    package var limit = 100

    package init() {}
}

extension JobLogEntry {
    /// What `JobLogQuery.text` is looked for in: id, worker and error in lower case, a line each.
    package var searchText: String { "\(id)\n\(worker?.text ?? "")\n\(error ?? "")".lowercased() }
}
