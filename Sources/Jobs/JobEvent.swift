/// What can happen to a job that is in the store. `JobMachine` says what it does.
package enum JobEvent: Sendable, Equatable {
    /// Handed to a worker. Refused unless the job is in the queue; repeated by the same worker for the same attempt it changes nothing.
    case take(worker: WorkerID, attempt: Int)
    /// A worker's progress value (JSON text), shown as output while the job runs.
    case progress(worker: WorkerID, value: [UInt8])
    /// Partial outputs of the worker that has the job.
    /// - attempt: that the worker says it works on; nil from workers that do not know.
    /// - chunks: with their places if `isPlaced`, else in order of arrival, places not yet known.
    case append(worker: WorkerID, attempt: Int?, chunks: [JobChunk], isPlaced: Bool)
    /// A draining reader takes the chunks from `start` to below `end`. Refused if another reader took some of them first.
    case drain(from: Int, through: Int)
    /// A worker's final post.
    case finish(worker: WorkerID, attempt: Int?, JobOutcome)
    case cancel
    /// `/retry`: back into the queue, output dropped.
    case retry
    /// The worker that has the job is gone: back into the queue, or failed once that happened more than `limit` times.
    case lose(worker: WorkerID, attempt: Int, reason: String, limit: Int)
    /// The worker never started on it (it was being stopped): back into the queue, not counted as a loss.
    case giveBack(worker: WorkerID, attempt: Int)
    /// Ended by the gateway: ran too long.
    case timeOut(reason: String)
    /// Ended by the gateway: cannot be served (crash-looping workers).
    case fail(reason: String)
    /// A client's wish that the record be kept for this many ms from now at most.
    case retain(milliseconds: Int)
}

/// How a worker says a job ended.
package enum JobOutcome: Sendable, Equatable {
    /// - output: JSON text; nil where the handler returned `{}`.
    case completed(output: [UInt8]?)
    case failed(error: String, output: [UInt8]?)
}

/// An event at a job, at a moment.
package struct JobStep: Sendable, Equatable {
    package var job: JobID
    package var event: JobEvent
    package var at: Timestamp

    package init(_ job: JobID, _ event: JobEvent, at: Timestamp) {
        self.job = job
        self.event = event
        self.at = at
    }
}

/// What came of a step.
package enum JobVerdict: Sendable, Equatable {
    /// The job as it is now.
    case applied(Job)
    /// Nothing changed, and nothing is wrong: the event had been applied before.
    case repeated(Job)
    /// Nothing changed: the event does not fit the job's state, or comes from a worker that no longer has it.
    case refused(Job)
    /// There is no such job.
    case unknown

    package var job: Job? {
        switch self {
        case .applied(let job), .repeated(let job), .refused(let job): job
        case .unknown: nil
        }
    }

    package var isApplied: Bool { if case .applied = self { true } else { false } }
    package var isRefused: Bool { if case .refused = self { true } else { false } }
}
