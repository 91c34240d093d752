package import JSON
package import Jobs

/// A line of the dashboard's job list: of an ended job from the job log, or of one that waits or runs.
package struct DashboardJob: Sendable {
    package var id: JobID
    package var endpoint: EndpointID
    package var origin: JobOrigin
    package var state: JobState
    package var submittedAt: Timestamp
    package var finishedAt: Timestamp?
    /// ms
    package var delayTime: Int
    /// ms
    package var executionTime: Int
    package var worker: WorkerID?
    package var retries: Int
    package var error: String?

    package init(_ entry: JobLogEntry) {
        id = entry.id
        endpoint = entry.endpoint
        origin = entry.origin
        state = entry.state
        submittedAt = entry.submittedAt
        finishedAt = entry.finishedAt
        delayTime = entry.delayTime
        executionTime = entry.executionTime
        worker = entry.worker
        retries = entry.retries
        error = entry.error
    }

    package init(_ job: Job, error: String? = nil, at now: Timestamp) {
        id = job.id
        endpoint = job.endpoint
        origin = job.origin
        state = job.state
        submittedAt = job.submittedAt
        finishedAt = job.finishedAt
        delayTime = job.delayTime(at: now)
        executionTime = job.executionTime(at: now)
        worker = job.worker
        retries = job.retries
        self.error = error ?? (job.state == .inQueue ? job.lossReason : nil)
    }

    package func write(into writer: inout JSONWriter) {
        members(into: &writer)
        writer.raw("}")
    }

    /// All but the closing brace.
    fileprivate func members(into writer: inout JSONWriter) {
        writer.raw("{\"id\":")
        writer.string(id.text)
        writer.next("endpoint", endpoint.text)
        writer.next("origin", origin.rawValue)
        writer.next("state", state.rawValue)
        writer.next("submittedAt", submittedAt)
        writer.next("finishedAt", finishedAt)
        writer.next("delayTime", delayTime)
        writer.next("executionTime", executionTime)
        writer.next("workerId", worker?.text)
        writer.next("retries", retries)
        writer.next("error", error)
    }
}

/// `GET /admin/api/jobs`: one page of the job list.
package struct DashboardJobPage: Sendable {
    package var jobs: [DashboardJob]
    /// For `before` of the next page; nil: this is the last.
    package var before: Timestamp?

    package init(jobs: [DashboardJob], before: Timestamp?) {
        self.jobs = jobs
        self.before = before
    }

    package func write(into writer: inout JSONWriter) {
        writer.raw("{\"before\":")
        if let before { writer.int(before.milliseconds) } else { writer.raw("null") }
        writer.list("jobs", jobs) { $0.write(into: &$1) }
        writer.raw("}")
    }
}

/// `GET /admin/api/jobs/{id}`: one job with what is still kept of it.
package struct DashboardJobDetail: Sendable {
    /// Longest part of an input or output that is sent, bytes.
    package static let longestText = 64 << 10

    package var job: DashboardJob
    /// The record; nil where only the log's line is left.
    package var record: Job?
    package var input: [UInt8]?
    package var output: [UInt8]?

    package init(_ job: DashboardJob, record: Job? = nil, input: [UInt8]? = nil, output: [UInt8]? = nil) {
        self.job = job
        self.record = record
        self.input = input
        self.output = output
    }

    package func write(into writer: inout JSONWriter) {
        job.members(into: &writer)
        writer.next("isKept", record != nil)
        if let record {
            writer.next("queuedAt", record.queuedAt)
            writer.next("takenAt", record.takenAt)
            writer.next("expiresAt", record.expiresAt)
            writer.next("attempt", record.attempt)
            writer.next("chunkCount", record.chunkCount)
            writer.next("lossReason", record.lossReason)
            writer.next("executionTimeout", record.policy.executionTimeout)
            writer.next("timeToLive", record.policy.timeToLive)
            writer.next("lowPriority", record.policy.lowPriority)
            writer.next("hasWebhook", record.webhook != nil)
        }
        text("input", input, &writer)
        text("output", output, &writer)
        writer.raw("}")
    }

    /// JSON as a text that people read; a long one is cut, and says so.
    private func text(_ name: StaticString, _ bytes: [UInt8]?, _ writer: inout JSONWriter) {
        writer.next(name, bytes.map { bytes in
            let head = String(decoding: bytes.prefix(Self.longestText), as: UTF8.self)
            return bytes.count > Self.longestText ? "\(head)… (\(bytes.count) bytes in all)" : head
        })
    }
}

/// What `GET /admin/api/jobs` asks for: `endpoint`, `state` (both any number of times), `text`, `before`, `limit`.
package struct DashboardJobsQuery: Sendable, Equatable {
    /// Ended jobs, from the job log.
    package var log = JobLogQuery()
    /// Jobs that wait or run, from the store, in place of the log; nil: the log's.
    package var live: JobState?

    package init(_ parameters: [(name: String, value: String)]) throws(DefinitionError) {
        log.limit = 50
        for (name, value) in parameters where !value.isEmpty {
            switch name {
            case "endpoint":
                guard value.isURLName else { throw DefinitionError("'endpoint' is no endpoint's name") }
                log.endpoints.append(EndpointID(value))
            case "state":
                guard let state = JobState(rawValue: value) else {
                    throw DefinitionError("'state' must be one of " + JobState.allCases.map(\.rawValue).joined(separator: ", "))
                }
                if state.isTerminal { log.states.append(state) } else { live = state }
            case "text":
                guard value.utf8.count <= 256 else { throw DefinitionError("'text' is longer than 256 bytes") }
                log.text = value
            case "before":
                guard let time = Int(value), time >= 0 else { throw DefinitionError("'before' must be milliseconds since 1970") }
                log.before = Timestamp(milliseconds: time)
            case "limit":
                guard let limit = Int(value), (1...500).contains(limit) else { throw DefinitionError("'limit' must be a whole number from 1 to 500") }
                log.limit = limit
            default: throw DefinitionError("'\(name.prefix(40))' is no parameter here; known are before, endpoint, limit, state, text")
            }
        }
    }
}
