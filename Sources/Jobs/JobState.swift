/// States of a job, as clients read them.
package enum JobState: String, Sendable, CaseIterable {
    case inQueue = "IN_QUEUE"
    case inProgress = "IN_PROGRESS"
    case completed = "COMPLETED"
    case failed = "FAILED"
    case cancelled = "CANCELLED"
    case timedOut = "TIMED_OUT"

    /// Whether a job in this state is over. Only `/retry` leads out of failed and timed-out.
    package var isTerminal: Bool { self != .inQueue && self != .inProgress }
    /// Whether `/retry` may put the job back into the queue.
    package var isRetryable: Bool { self == .failed || self == .timedOut }
}

/// How a job came in.
package enum JobOrigin: String, Sendable, CaseIterable {
    case run, runsync, openai
}

/// The client's wishes for one job, defaults filled in from the endpoint.
package struct JobPolicy: Sendable, Equatable {
    /// Longest time from take to done, ms.
    package var executionTimeout: Int
    /// Whole life from submission, ms.
    package var timeToLive: Int
    /// Does not make the endpoint start a worker.
    package var lowPriority: Bool
    /// How long the record is kept once the job is over, ms.
    package var retention: Int

    package init(executionTimeout: Int, timeToLive: Int, lowPriority: Bool = false, retention: Int) {
        self.executionTimeout = executionTimeout
        self.timeToLive = timeToLive
        self.lowPriority = lowPriority
        self.retention = retention
    }
}
