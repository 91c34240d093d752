/// Everything about a job but its input, output and chunks: what queues, workers and clocks need to know. Small, copied freely.
package struct Job: Sendable, Equatable {
    package let id: JobID
    package let endpoint: EndpointID
    package let origin: JobOrigin
    package var policy: JobPolicy
    package var webhook: String?
    /// Chained hashes of the prompt's leading blocks, for prefix affinity; empty where nothing is known.
    package var prefix: [UInt64]

    package var state: JobState = .inQueue
    package let submittedAt: Timestamp
    /// When it entered the queue last: on submission, on a requeue, on `/retry`.
    package var queuedAt: Timestamp
    package var takenAt: Timestamp?
    package var finishedAt: Timestamp?
    /// When the record goes: the end of the time to live or, once over, of the retention, whichever is sooner.
    package var expiresAt: Timestamp

    /// The worker that has the job, or had it last.
    package var worker: WorkerID?
    /// Hand-outs so far; a worker's posts are fenced by it.
    package var attempt = 0
    /// Times the job went back into the queue since it was submitted or retried by hand, because its worker was lost.
    package var retries = 0
    /// Why the job went back into the queue last, for waiting clients and the final error.
    package var lossReason: String?
    /// Chunks stored.
    package var chunkCount = 0
    /// Chunks that a draining reader has been given; the next drain starts here.
    package var drainedCount = 0
    /// Chunks posted in the present attempt by a worker that does not number them. It starts from the beginning on each attempt, so those
    /// below `chunkCount` are repeats of what is stored.
    package var postedCount = 0

    package init(
        id: JobID, endpoint: EndpointID, origin: JobOrigin, policy: JobPolicy, webhook: String? = nil, prefix: [UInt64] = [], submittedAt: Timestamp
    ) {
        self.id = id
        self.endpoint = endpoint
        self.origin = origin
        self.policy = policy
        self.webhook = webhook
        self.prefix = prefix
        self.submittedAt = submittedAt
        queuedAt = submittedAt
        expiresAt = submittedAt + policy.timeToLive
    }

    /// Milliseconds in the queue before the last take; so far, where it still waits.
    package func delayTime(at now: Timestamp) -> Int {
        switch state {
        case .inQueue: max(0, now - queuedAt)
        // Never taken: it waited until it ended.
        default: max(0, (takenAt ?? finishedAt ?? now) - queuedAt)
        }
    }

    /// Milliseconds from the last take to the end; 0 before the take.
    package func executionTime(at now: Timestamp) -> Int {
        guard let takenAt else { return 0 }
        return max(0, (finishedAt ?? now) - takenAt)
    }

    /// When the present attempt has run too long.
    package var executionDeadline: Timestamp? { state == .inProgress ? takenAt.map { $0 + policy.executionTimeout } : nil }
}

/// What a worker is given: the request's JSON.
package struct JobPayload: Sendable, Equatable {
    /// JSON text of the request's `input`.
    package var input: [UInt8]
    /// JSON text of an object with the request's other members (`s3Config`, `policy`, unknown ones); nil where there are none.
    package var extras: [UInt8]?

    package init(input: [UInt8], extras: [UInt8]? = nil) {
        self.input = input
        self.extras = extras
    }
}

/// What came of a job, or its latest progress.
package struct JobResult: Sendable, Equatable {
    /// JSON text; nil where there is none.
    package var output: [UInt8]?
    package var error: String?

    package init(output: [UInt8]? = nil, error: String? = nil) {
        self.output = output
        self.error = error
    }
}

/// One partial output of a job.
package struct JobChunk: Sendable, Equatable {
    /// How `body` is to be read.
    package enum Form: String, Sendable {
        /// JSON text of the chunk.
        case json
        /// UTF-8 text: the chunk is this string.
        case text
    }

    /// Counts from 0 over all attempts of the job.
    package var index: Int
    package var form: Form
    package var body: [UInt8]
    /// JSON text of what another worker needs to go on after this chunk (`ResumeDelta`); nil where the worker does not say.
    package var resume: [UInt8]?

    package init(index: Int, form: Form, body: [UInt8], resume: [UInt8]? = nil) {
        self.index = index
        self.form = form
        self.body = body
        self.resume = resume
    }
}
