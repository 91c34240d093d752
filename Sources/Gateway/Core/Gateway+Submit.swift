internal import Jobs
internal import Logging
internal import Synchronization

/// From the client's request to the queue, or past it.
extension GatewayCore {
    /// Accepts a job. One that finds a worker waiting is stored as that worker's: one transaction where queueing it takes two.
    func submit(_ new: NewJob) async throws(StoreError) {
        let queued = QueuedJob(job: new.job, payload: new.payload)
        guard let poll = dispatcher.claimPoll(for: queued) else {
            try await persist(new)
            begin(dispatcher.enqueue(queued))
            signals.demand.put(new.job.endpoint)
            return
        }
        let now = Timestamp.now
        var taken = new
        _ = JobMachine.apply(.take(worker: poll.worker, attempt: new.job.attempt + 1), to: &taken.job, at: now)
        // An OpenAI client hears nothing before the job is stored: its worker may begin meanwhile, if no other gateway can get in between.
        if new.job.origin == .openai, !store.isShared { return try await submitRunning(taken, poll, at: now) }
        do throws(StoreError) { try await persist(taken) } catch {
            withdraw(new.job.id, poll)
            throw error
        }
        await deliver([QueuedJob(job: taken.job, payload: new.payload)], poll, at: now)
    }

    /// Stores a job while its worker begins with it. What the worker posts is written after it.
    private func submitRunning(_ taken: NewJob, _ poll: Dispatcher.Poll, at now: Timestamp) async throws(StoreError) {
        let isHandedOver = Atomic<Bool>(false)
        do throws(StoreError) {
            try await persist(taken) { [self] in isHandedOver.store(handOver(taken, poll, at: now), ordering: .releasing) }
        } catch {
            if isHandedOver.load(ordering: .acquiring) {
                callOff(taken.job.id, taken.job.endpoint, at: .now)
            } else {
                withdraw(taken.job.id, poll)
            }
            throw error
        }
        guard !isHandedOver.load(ordering: .acquiring) else { return }
        await giveBack([taken.job], from: poll.worker)
        waitAgain(poll)
    }

    /// The job is nowhere; its worker waits for another one.
    private func withdraw(_ id: JobID, _ poll: Dispatcher.Poll) {
        dispatcher.release(id, from: poll.worker, isDone: false, at: .now)
        waitAgain(poll)
    }

    /// OpenAI requests live with their connection and need not outlive a loss of power.
    private func persist(_ new: NewJob, placed: @escaping @Sendable () -> Void = {}) async throws(StoreError) {
        let clock = ContinuousClock.now
        do throws(StoreError) {
            try await store.submit([new], new.job.origin == .openai ? .committed : .synced, placed: placed)
        } catch {
            signals.metrics.store(.submit, took: ContinuousClock.now - clock, failed: true)
            throw error
        }
        signals.metrics.store(.submit, took: ContinuousClock.now - clock)
        signals.metrics.submitted(new.job.endpoint, new.job.origin)
    }
}
