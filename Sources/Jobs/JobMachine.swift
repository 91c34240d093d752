/// The one place that says how jobs change. Pure: stores load a job, apply an event, and write what `Change` names, in one transaction.
package enum JobMachine {
    /// What a store has to write besides the job itself.
    package struct Change: Sendable, Equatable {
        /// Replaces output and error; nil leaves them.
        package var result: JobResult?
        /// Appended in this order; their indices are final.
        package var chunks: [JobChunk] = []
        /// Chunks at this index and above go.
        package var dropsChunksFrom: Int?
        /// The job is over now: counters, job log and webhook follow.
        package var ended = false
        /// The counter of losses goes up.
        package var lost = false

        package init(result: JobResult? = nil, chunks: [JobChunk] = [], dropsChunksFrom: Int? = nil, ended: Bool = false, lost: Bool = false) {
            self.result = result
            self.chunks = chunks
            self.dropsChunksFrom = dropsChunksFrom
            self.ended = ended
            self.lost = lost
        }
    }

    package enum Answer: Sendable, Equatable {
        case applied(Change), repeated, refused
    }

    /// Applies `event` to `job`; leaves it as it is unless the answer is `applied`.
    package static func apply(_ event: JobEvent, to job: inout Job, at now: Timestamp) -> Answer {
        switch event {
        case .take(let worker, let attempt): take(worker, attempt, &job, now)
        case .progress(let worker, let value): progress(worker, value, job)
        case .append(let worker, let attempt, let chunks, let isPlaced): append(worker, attempt, chunks, isPlaced, &job)
        case .drain(let start, let end): drain(start, end, &job)
        case .finish(let worker, let attempt, let outcome): finish(worker, attempt, outcome, &job, now)
        case .cancel: end(&job, .cancelled, JobResult(), now)
        case .retry: retry(&job, now)
        case .lose(let worker, let attempt, let reason, let limit): lose(worker, attempt, reason, limit, &job, now)
        case .giveBack(let worker, let attempt): giveBack(worker, attempt, &job)
        case .timeOut(let reason): end(&job, .timedOut, JobResult(error: reason), now)
        case .fail(let reason): end(&job, .failed, JobResult(error: reason), now)
        case .retain(let milliseconds): retain(milliseconds, &job, now)
        }
    }

    // MARK: Worker's events

    private static func take(_ worker: WorkerID, _ attempt: Int, _ job: inout Job, _ now: Timestamp) -> Answer {
        if job.state == .inProgress, job.worker == worker, job.attempt == attempt { return .repeated }
        guard job.state == .inQueue, attempt == job.attempt + 1 else { return .refused }
        job.state = .inProgress
        job.worker = worker
        job.attempt = attempt
        job.takenAt = now
        job.postedCount = 0
        return .applied(Change())
    }

    /// Whether the worker may still post for the job.
    private static func holds(_ job: Job, _ worker: WorkerID, _ attempt: Int?) -> Bool {
        job.state == .inProgress && job.worker == worker && (attempt == nil || attempt == job.attempt)
    }

    private static func progress(_ worker: WorkerID, _ value: [UInt8], _ job: Job) -> Answer {
        holds(job, worker, nil) ? .applied(Change(result: JobResult(output: value))) : .refused
    }

    private static func append(_ worker: WorkerID, _ attempt: Int?, _ chunks: [JobChunk], _ isPlaced: Bool, _ job: inout Job) -> Answer {
        guard holds(job, worker, attempt) else { return .refused }
        var change = Change()
        for var chunk in chunks {
            if !isPlaced {
                // A worker that starts over on each attempt: what readers were given before stays, its repeats are passed over.
                chunk.index = job.postedCount
                job.postedCount += 1
            }
            if chunk.index < job.chunkCount { continue }
            // A gap: chunks before this one never came. They are taken as lost rather than put out of order.
            guard chunk.index == job.chunkCount else { return change.chunks.isEmpty && isPlaced ? .refused : .applied(change) }
            change.chunks.append(chunk)
            job.chunkCount += 1
        }
        return change.chunks.isEmpty && isPlaced ? .repeated : .applied(change)
    }

    private static func finish(_ worker: WorkerID, _ attempt: Int?, _ outcome: JobOutcome, _ job: inout Job, _ now: Timestamp) -> Answer {
        if job.state.isTerminal { return .repeated }
        // A worker that was given up and still finished while the job waits for another one: its work counts.
        let wasGivenUp = job.state == .inQueue && job.worker == worker && (attempt == nil || attempt == job.attempt)
        guard wasGivenUp || holds(job, worker, attempt) else { return .refused }
        switch outcome {
        case .completed(let output): return end(&job, .completed, JobResult(output: output), now)
        case .failed(let error, let output): return end(&job, .failed, JobResult(output: output, error: error), now)
        }
    }

    private static func lose(
        _ worker: WorkerID, _ attempt: Int, _ reason: String, _ limit: Int, _ job: inout Job, _ now: Timestamp
    ) -> Answer {
        guard holds(job, worker, attempt) else { return .refused }
        job.lossReason = reason
        guard job.retries < limit else {
            var answer = end(&job, .failed, JobResult(error: lossError(job, reason)), now)
            if case .applied(var change) = answer {
                change.lost = true
                answer = .applied(change)
            }
            return answer
        }
        job.retries += 1
        job.state = .inQueue
        job.queuedAt = now
        job.takenAt = nil
        return .applied(Change(result: JobResult(), lost: true))
    }

    private static func giveBack(_ worker: WorkerID, _ attempt: Int, _ job: inout Job) -> Answer {
        guard holds(job, worker, attempt) else { return .refused }
        job.state = .inQueue
        job.takenAt = nil
        return .applied(Change(result: JobResult()))
    }

    // MARK: Client's and gateway's events

    private static func drain(_ start: Int, _ end: Int, _ job: inout Job) -> Answer {
        guard start == job.drainedCount, end > start, end <= job.chunkCount else { return .refused }
        job.drainedCount = end
        return .applied(Change())
    }

    private static func retry(_ job: inout Job, _ now: Timestamp) -> Answer {
        guard job.state.isRetryable, now < job.expiresAt else { return .refused }
        job.state = .inQueue
        job.queuedAt = now
        job.takenAt = nil
        job.finishedAt = nil
        job.worker = nil
        job.retries = 0
        job.lossReason = nil
        job.chunkCount = 0
        job.drainedCount = 0
        job.postedCount = 0
        job.expiresAt = now + job.policy.timeToLive
        return .applied(Change(result: JobResult(), dropsChunksFrom: 0))
    }

    private static func end(_ job: inout Job, _ state: JobState, _ result: JobResult, _ now: Timestamp) -> Answer {
        guard !job.state.isTerminal else { return .repeated }
        job.state = state
        job.finishedAt = now
        job.expiresAt = min(job.expiresAt, now + job.policy.retention)
        return .applied(Change(result: result, ended: true))
    }

    private static func retain(_ milliseconds: Int, _ job: inout Job, _ now: Timestamp) -> Answer {
        job.policy.retention = min(job.policy.retention, milliseconds)
        if job.state.isTerminal { job.expiresAt = min(job.expiresAt, now + milliseconds) }
        return .applied(Change())
    }
}

extension JobMachine {
    /// The error of a job whose worker was lost too often.
    package static func lossError(_ job: Job, _ reason: String) -> String {
        "job timed out after \(job.retries) retries" + (reason.isEmpty ? "" : ": \(reason)")
    }
}
