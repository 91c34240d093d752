package import Jobs
internal import Synchronization

/// Workers, and which has which job.
extension Dispatcher {
    package func seat(_ worker: WorkerID) -> WorkerSeat? { state.withLock { $0.workers[worker] } }

    package func update<Value>(_ worker: WorkerID, _ change: (inout WorkerSeat) -> Value) -> Value? {
        state.withLock { state in
            guard var seat = state.workers[worker] else { return nil }
            defer { state.workers[worker] = seat }
            return change(&seat)
        }
    }

    package func insert(_ record: WorkerRecord) {
        state.withLock { state in
            if state.workers[record.id] == nil { state.workers[record.id] = WorkerSeat(record: record) }
        }
    }

    /// Takes in a worker that the store knows, if it is new here.
    /// - Returns: whether the worker is one of ours now; not if it was removed here a moment ago.
    package func adopt(_ record: WorkerRecord) -> Bool {
        state.withLock { state in
            if state.workers[record.id] != nil { return true }
            if let removed = state.removed[record.id], record.startedAt <= removed { return false }
            state.workers[record.id] = WorkerSeat(record: record)
            return true
        }
    }

    package func remove(_ worker: WorkerID, at now: Timestamp = .now) {
        state.withLock { state in
            state.workers[worker] = nil
            state.stopWaiters[worker] = nil
            if state.removed.count >= 100 { state.removed = state.removed.filter { now - $0.value < Self.removalMemory } }
            state.removed[worker] = now
        }
    }

    /// How long a removed worker is remembered at least, ms: longer than reading the store takes.
    private static var removalMemory: Int { 60_000 }

    package func seats(_ endpoint: EndpointID? = nil) -> [WorkerSeat] {
        state.withLock { state in state.workers.values.filter { endpoint == nil || $0.record.endpoint == endpoint } }
    }

    /// The job is a worker's now.
    package func assign(_ job: Job, to worker: WorkerID, at now: Timestamp) {
        state.withLock { Self.assign(job, to: worker, at: now, &$0) }
    }

    /// The store has given a matched job to its worker.
    /// - Returns: false if it was called off in the meantime: the worker must not get it.
    package func confirm(_ job: Job, for worker: WorkerID, at now: Timestamp) -> Bool {
        state.withLock { state in
            guard state.workers[worker]?.held[job.id]?.attempt == job.attempt else { return false }
            Self.assign(job, to: worker, at: now, &state)
            return true
        }
    }

    private static func assign(_ job: Job, to worker: WorkerID, at now: Timestamp, _ state: inout State) {
        state.workers[worker]?.held[job.id] = .init(
            attempt: job.attempt, takenAt: job.takenAt ?? now, deadline: job.executionDeadline, origin: job.origin, isLowPriority: job.policy.lowPriority)
        state.workers[worker]?.refreshState(at: now)
    }

    package func isHeld(_ job: Job, by worker: WorkerID) -> Bool { state.withLock { $0.workers[worker]?.held[job.id]?.attempt == job.attempt } }

    /// The workers that have a job, as far as is known here: one at most, but for moments of doubt.
    package func holders(of job: JobID, _ endpoint: EndpointID) -> [WorkerID] {
        state.withLock { state in state.workers.values.filter { $0.record.endpoint == endpoint && $0.held[job] != nil }.map(\.record.id) }
    }

    /// The worker has the job no more.
    /// - Parameter isDone: it did it.
    package func release(_ job: JobID, from worker: WorkerID, isDone: Bool, at now: Timestamp) {
        state.withLock { state in
            guard state.workers[worker]?.held.removeValue(forKey: job) != nil else { return }
            if isDone { state.workers[worker]?.record.jobsDone += 1 }
            state.workers[worker]?.refreshState(at: now)
        }
    }

    /// The job waits again: whoever had it before has it no more.
    static func release(formerAttemptsOf job: Job, at now: Timestamp, _ state: inout State) {
        for (worker, seat) in state.workers where seat.held[job.id].map({ $0.attempt <= job.attempt }) ?? false {
            state.workers[worker]?.held[job.id] = nil
            state.workers[worker]?.refreshState(at: now)
        }
    }
}

/// Jobs that workers are to stop.
extension Dispatcher {
    /// Tells the worker to stop a job.
    package func stop(_ job: JobID, on worker: WorkerID) {
        let waiter = state.withLock { $0.stopWaiters[worker] }
        if waiter?.put([job]) == true { return }
        state.withLock { $0.workers[worker]?.remember(stop: job) }
    }

    /// - Returns: jobs to stop that have piled up, else the box in which they will come.
    package func openStopPoll(_ worker: WorkerID) -> (stops: [JobID], box: Mailbox<[JobID]>) {
        state.withLock { state in
            let box = Mailbox<[JobID]>()
            let stops = state.workers[worker]?.stops ?? []
            state.workers[worker]?.stops = []
            if stops.isEmpty { state.stopWaiters[worker] = box }
            return (stops, box)
        }
    }

    /// Answers all that wait to hear what to stop.
    package func dismissStopPolls() { for box in state.withLock({ Array($0.stopWaiters.values) }) { box.close() } }

    /// - Parameter unsent: stops that came when the worker was gone.
    package func closeStopPoll(_ worker: WorkerID, _ box: Mailbox<[JobID]>, unsent: [JobID] = []) {
        state.withLock { state in
            if state.stopWaiters[worker] === box { state.stopWaiters[worker] = nil }
            // Those that came after the answer was made go with the next one.
            for job in unsent + box.empty().flatMap({ $0 }) { state.workers[worker]?.remember(stop: job) }
        }
    }
}
