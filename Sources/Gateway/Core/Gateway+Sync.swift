internal import Jobs
internal import Logging
internal import Synchronization

/// Bringing what is kept in memory in line with the store.
extension GatewayCore {
    /// Jobs read at once; the rest follows when these are gone.
    static var mirrorLimit: Int { 50_000 }

    /// After a start: workers of a former gateway, and the jobs they have.
    func recover() async throws(StoreError) {
        let now = Timestamp.now
        for var record in try await store.workers() {
            // It gets the time that any silent worker gets.
            record.seenAt = now
            dispatcher.insert(record)
        }
        for endpoint in endpoints.all {
            try await synchronise(endpoint.id, limit: Self.mirrorLimit, leads: !store.isShared)
            guard !store.isShared else { continue }
            // Their clients' connections ended with the former gateway.
            for state in [JobState.inQueue, .inProgress] {
                for job in try await store.jobs(endpoint.id, in: state, limit: Self.mirrorLimit) where job.origin == .openai {
                    try await apply(job.id, .cancel, .committed)
                }
            }
        }
    }

    /// - Parameters:
    ///   - limit: jobs looked at, the oldest first.
    ///   - leads: whether jobs of workers that are gone are this gateway's to put back.
    func synchronise(_ endpoint: EndpointID, limit: Int = 2000, leads: Bool) async throws(StoreError) {
        let read = dispatcher.beginRead()
        let waiting: [Job]
        do throws(StoreError) { waiting = try await store.jobs(endpoint, in: .inQueue, limit: limit) } catch {
            _ = dispatcher.resynchronise(endpoint, nil, isComplete: false, read: read)
            throw error
        }
        begin(dispatcher.resynchronise(endpoint, waiting, isComplete: waiting.count < limit, read: read))
        let running = try await store.jobs(endpoint, in: .inProgress, limit: limit)
        for job in running {
            guard let worker = job.worker else { continue }
            if let seat = dispatcher.seat(worker) {
                if seat.held[job.id] == nil, !seat.isStopping || seat.record.state == .draining { dispatcher.assign(job, to: worker, at: .now) }
            } else if leads, !store.isShared || job.takenAt.map({ Timestamp.now - $0 > 5000 }) ?? true {
                let held = WorkerSeat.Held(attempt: job.attempt, takenAt: job.takenAt ?? .now, deadline: nil, origin: job.origin, isLowPriority: job.policy.lowPriority)
                await lose(job.id, held, on: worker, in: endpoint, "worker \(worker) is gone")
            }
        }
        guard store.isShared else { return }
        guard running.count < limit else { return }
        let live = Set(running.map(\.id))
        for seat in dispatcher.seats(endpoint) {
            for (id, held) in seat.held where !live.contains(id) && Timestamp.now - held.takenAt > 5000 {
                dispatcher.release(id, from: seat.record.id, isDone: false, at: .now)
            }
        }
    }

    /// Workers as other gateways have left them.
    func synchroniseWorkers() async throws(StoreError) {
        let records = try await store.workers()
        let known = Set(records.map(\.id))
        for record in records {
            guard dispatcher.adopt(record) else { continue }
            keys.add(record)
            _ = dispatcher.update(record.id) { seat in
                if let seen = record.seenAt, seat.record.seenAt.map({ $0 < seen }) ?? true { seat.record.seenAt = seen }
                if seat.record.readyAt == nil { seat.record.readyAt = record.readyAt }
                if seat.record.handle == nil { seat.record.handle = record.handle }
                if record.state == .draining || record.state == .unhealthy || seat.record.state == .initializing { seat.record.state = record.state }
                // The leader has taken it into service again.
                if record.state == .idle || record.state == .running, !seat.changedSinceSave { _ = seat.reopen(at: .now) }
            }
            if record.state == .draining { dispatcher.dismissPolls(of: record.id) }
        }
        for seat in dispatcher.seats() where !known.contains(seat.record.id) && Timestamp.now - seat.record.startedAt > 10_000 {
            dispatcher.remove(seat.record.id)
            keys.remove(seat.record)
        }
    }

    /// A worker has come with a key that is not known here: another gateway may have started it just now.
    /// - Returns: whether it is worth another look; not more often than once a second.
    func lookForWorkers() async -> Bool {
        guard store.isShared else { return false }
        let now = Timestamp.now
        let isDue = askedForWorkers.withLock { last in
            guard now - last >= 1000 else { return false }
            last = now
            return true
        }
        guard isDue else { return false }
        do { try await synchroniseWorkers() } catch {
            logger.warning("workers of other gateways could not be read: \(error)")
            return false
        }
        return true
    }

    /// Another gateway has ended a job, or let it expire, whose worker may be connected here.
    private func heed(_ state: JobState, of id: JobID, _ endpoint: EndpointID) async throws(StoreError) {
        let holders = dispatcher.holders(of: id, endpoint)
        guard !holders.isEmpty else { return }
        switch state {
        case .completed, .failed: for worker in holders { dispatcher.release(id, from: worker, isDone: true, at: .now) }
        case .cancelled, .timedOut: callOff(id, endpoint, at: .now)
        case .inProgress: if try await store.job(id) == nil { callOff(id, endpoint, at: .now) }
        case .inQueue: break
        }
    }

    /// Follows what other gateways do, until the store is closed.
    func follow(_ changes: AsyncStream<StoreChange>) async {
        for await change in changes {
            do {
                switch change {
                case .job(let id, let endpoint, let state):
                    if state == .inQueue, let job = try await store.job(id), job.state == .inQueue {
                        signals.demand.put(endpoint)
                        begin(dispatcher.learn(job, at: .now))
                    } else if state != .inQueue {
                        dispatcher.dequeue(id, endpoint)
                        try await heed(state, of: id, endpoint)
                    }
                    watch.tell(id, .poke)
                case .chunks(let id, _): watch.tell(id, .poke)
                case .workers: try await synchroniseWorkers()
                case .definitions, .keys: await signals.reload()
                case .everything:
                    await signals.reload()
                    try await synchroniseWorkers()
                    for endpoint in endpoints.all { try await synchronise(endpoint.id, leads: false) }
                    watch.tellEverybody()
                }
            } catch {
                logger.warning("a change by another gateway could not be read: \(error)")
            }
        }
    }
}
