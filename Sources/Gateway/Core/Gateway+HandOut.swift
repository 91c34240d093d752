internal import JSON
internal import Jobs
internal import Logging
internal import WorkerProtocol

/// From a match to the worker's hands.
extension GatewayCore {
    /// Starts the hand-outs that a change made possible.
    func begin(_ matches: [Dispatcher.Match]) {
        for match in matches { Task { await handOut(match) } }
    }

    /// Bytes of jobs in one answer, unless a single one has more: a worker reads an answer as a whole.
    private static let mostBytesInAnswer = 32 << 20

    private func handOut(_ match: Dispatcher.Match) async {
        let now = Timestamp.now
        let worker = match.poll.worker
        let steps = match.jobs.map { JobStep($0.id, .take(worker: worker, attempt: $0.job.attempt + 1), at: now) }
        let verdicts: [JobVerdict]
        do {
            verdicts = try await apply(steps, .committed)
        } catch {
            logger.warning("no job can be handed out: \(error)", metadata: ["worker": "\(worker)"])
            for job in match.jobs { dispatcher.release(job.id, from: worker, isDone: false, at: .now) }
            // Trying again at once would only keep a store busy that is in trouble.
            try? await Task.sleep(for: .seconds(1))
            match.poll.box.put(.nothing)
            for job in match.jobs.reversed() { begin(dispatcher.enqueue(job, toFront: true)) }
            return
        }
        var taken: [QueuedJob] = []
        for (queued, verdict) in zip(match.jobs, verdicts) {
            if let job = verdict.job, !verdict.isRefused {
                taken.append(QueuedJob(job: job, payload: queued.payload))
                continue
            }
            dispatcher.release(queued.id, from: worker, isDone: false, at: now)
            // Another gateway was faster, or the client cancelled; else what was known of the job is out of date.
            if let job = verdict.job, job.state == .inQueue { begin(dispatcher.enqueue(QueuedJob(job: job), toFront: true)) }
        }
        await deliver(taken, match.poll, at: now)
    }

    /// Answers a worker's poll with jobs that are the worker's by the store's word.
    /// - Parameter now: when they were taken.
    func deliver(_ taken: [QueuedJob], _ poll: Dispatcher.Poll, at now: Timestamp) async {
        let worker = poll.worker
        var handOuts: [Dispatcher.HandOut] = []
        var byteCount = 0
        // Called off, or the worker was given up, between the match and here; or too much for one answer.
        var unwanted: [Job] = []
        for queued in taken {
            let job = queued.job
            guard dispatcher.confirm(job, for: worker, at: now), byteCount < Self.mostBytesInAnswer else {
                unwanted.append(job)
                continue
            }
            begun(job, worker, at: now)
            if let message = await message(job, queued.payload, at: now) {
                handOuts.append(.init(job: job, message: message))
                byteCount += message.count
            }
        }
        unwanted += handOuts.map(\.job).filter { !dispatcher.isHeld($0, by: worker) }
        handOuts.removeAll { handOut in unwanted.contains { $0.id == handOut.job.id } }
        // Does nothing where the job is over. They go to the front, the first of them last.
        await giveBack(unwanted.reversed(), from: worker)
        if handOuts.isEmpty {
            waitAgain(poll)
        } else if !poll.box.put(.jobs(handOuts)) {
            // The worker hung up in the meantime.
            await giveBack(handOuts.map(\.job), from: worker)
        }
    }

    /// The worker gets nothing of what was meant for it, and goes on waiting.
    func waitAgain(_ poll: Dispatcher.Poll) {
        if !poll.box.isClosed { begin(dispatcher.reopen(poll)) }
    }

    /// Answers a worker's poll with a job that is not stored yet, but will be before anything else becomes of it.
    /// - Returns: false where the worker does not get it: the job was called off, or the worker hung up.
    func handOver(_ new: NewJob, _ poll: Dispatcher.Poll, at now: Timestamp) -> Bool {
        guard dispatcher.confirm(new.job, for: poll.worker, at: now) else { return false }
        begun(new.job, poll.worker, at: now)
        return poll.box.put(.jobs([.init(job: new.job, message: Self.message(new.job, new.payload, nil, at: now))]))
    }

    private func begun(_ job: Job, _ worker: WorkerID, at now: Timestamp) {
        relays.begin(job.id, worker, attempt: job.attempt)
        signals.taken(job, at: now)
        watch.tell(job.id, .changed(job))
    }

    private static func message(_ job: Job, _ payload: JobPayload, _ resume: ResumeState?, at now: Timestamp) -> [UInt8] {
        var writer = JSONWriter(capacity: payload.input.count + 256)
        JobMessage.write(
            id: job.id.text, input: payload.input, extras: payload.extras, attempt: job.attempt, retries: job.retries,
            delayTime: job.delayTime(at: now), resume: resume, into: &writer)
        return writer.bytes
    }

    private func message(_ job: Job, _ cached: JobPayload?, at now: Timestamp) async -> [UInt8]? {
        do {
            let stored = cached == nil ? try await store.payload(job.id) : cached
            guard let payload = stored else { return nil }
            return Self.message(job, payload, try await resume(job), at: now)
        } catch {
            logger.warning("a job's input could not be read: \(error)", metadata: ["job": "\(job.id)"])
            if let worker = job.worker { await giveBack([job], from: worker) }
            return nil
        }
    }

    /// What the next worker needs to go on, where chunks are there and all came with that.
    private func resume(_ job: Job) async throws(StoreError) -> ResumeState? {
        if let resume = relays.resume(job.id) { return resume }
        guard job.chunkCount > 0 else { return nil }
        var state = ResumeState()
        while state.chunks < job.chunkCount {
            let chunks = try await store.chunks(job.id, from: state.chunks, limit: 1000)
            if chunks.isEmpty { return nil }
            for chunk in chunks {
                guard let delta = chunk.resume.flatMap({ try? JSONValue(parsing: $0) }).flatMap(ResumeDelta.init) else { return nil }
                state.add(delta)
            }
        }
        return state
    }

    /// Jobs that a worker never got, because its connection was gone.
    func giveBack(_ jobs: [Job], from worker: WorkerID) async {
        for job in jobs {
            do {
                try await apply(job.id, .giveBack(worker: worker, attempt: job.attempt), .committed)
            } catch {
                logger.error("a job could not be given back: \(error)", metadata: ["job": "\(job.id)", "worker": "\(worker)"])
            }
        }
    }
}
