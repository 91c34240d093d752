internal import JSON
internal import Jobs
internal import Logging

/// Signs of life, or their absence.
extension GatewayCore {
    /// Records are written this often while only the time of the last sign of life changes, ms.
    static var saveInterval: Int { 3000 }

    /// The worker asks for jobs. Its record is written meanwhile: no job waits for that.
    func workerIsReady(_ worker: WorkerID, coldStart: String?) {
        let now = Timestamp.now
        let isFirst = dispatcher.update(worker) { seat -> Bool in
            if let coldStart { seat.coldStart = coldStart }
            let isFirst = seat.record.readyAt == nil
            if isFirst {
                seat.record.readyAt = now
                seat.record.reason = nil
                seat.changedSinceSave = true
                if seat.record.state == .initializing || seat.record.state == .throttled { seat.record.state = .idle }
            }
            seat.sawLife(at: now)
            return isFirst
        }
        if isFirst == true {
            logger.info("worker ready", metadata: ["worker": "\(worker)"])
            if let record = dispatcher.seat(worker)?.record { signals.ready(record) }
        }
        if let record = recordToSave(worker) { Task { await save(record) } }
    }

    func sawLife(_ worker: WorkerID) { _ = dispatcher.update(worker) { $0.sawLife(at: .now) } }

    /// Writes the record where its state has changed or it is long ago.
    func saveIfDue(_ worker: WorkerID) async {
        if let record = recordToSave(worker) { await save(record) }
    }

    private func recordToSave(_ worker: WorkerID) -> WorkerRecord? {
        let now = Timestamp.now
        return dispatcher.update(worker) { seat -> WorkerRecord? in
            guard seat.changedSinceSave || (store.isShared && now - seat.savedAt > Self.saveInterval) else { return nil }
            seat.changedSinceSave = false
            seat.savedAt = now
            return seat.record
        } ?? nil
    }

    private func save(_ record: WorkerRecord) async {
        do { try await store.save(record) } catch {
            logger.warning("a worker's state was not saved: \(error)", metadata: ["worker": "\(record.id)"])
            _ = dispatcher.update(record.id) { $0.changedSinceSave = true }
        }
    }

    func workerIsUnhealthy(_ worker: WorkerID, _ reason: String) async {
        logger.warning("worker unhealthy: \(reason)", metadata: ["worker": "\(worker)"])
        _ = dispatcher.update(worker) { seat in
            seat.record.state = .unhealthy
            // It holds its place until it is gone.
            seat.isStopping = true
            seat.record.reason = reason
            seat.changedSinceSave = true
        }
        dispatcher.dismissPolls(of: worker)
        await saveIfDue(worker)
        if let seat = dispatcher.seat(worker) { signals.demand.put(seat.record.endpoint) }
    }

    /// No more jobs for this worker; the supervisor ends it when those it has are over.
    func drain(_ worker: WorkerID, _ reason: String) {
        let endpoint = dispatcher.update(worker) { seat -> EndpointID? in
            guard seat.isOpen else { return nil }
            seat.record.state = .draining
            seat.record.reason = reason
            seat.changedSinceSave = true
            return seat.record.endpoint
        }
        dispatcher.dismissPolls(of: worker)
        if case .some(.some(let endpoint)) = endpoint {
            Task { await saveIfDue(worker) }
            signals.demand.put(endpoint)
        }
    }

    /// - named: the jobs that the worker says it has. One that it leaves out twice is lost.
    func pinged(_ worker: WorkerID, _ named: Set<JobID>, in endpoint: EndpointID) async {
        let now = Timestamp.now
        let missing = dispatcher.update(worker) { seat -> [(JobID, WorkerSeat.Held)] in
            seat.sawLife(at: now)
            // A job that came after the last ping may be on its way still.
            let since = seat.previousPing ?? now
            for id in seat.lingering.keys where !named.contains(id) { seat.lingering[id] = nil }
            seat.previousPing = now
            var missing: [(JobID, WorkerSeat.Held)] = []
            for (id, held) in seat.held where held.takenAt < since {
                seat.held[id]?.missedPings = named.contains(id) ? 0 : held.missedPings + 1
                if let held = seat.held[id], held.missedPings >= 2 { missing.append((id, held)) }
            }
            return missing
        }
        for (id, held) in missing ?? [] {
            await lose(id, held, on: worker, in: endpoint, "worker \(worker) no longer names the job in its pings")
        }
        if let seat = dispatcher.seat(worker), seat.held.isEmpty, let stuck = seat.lingering.first(where: { now - $0.value > Self.stopGrace }) {
            // A handler that cannot be interrupted: only the end of its process frees the place.
            drain(worker, "it did not stop job \(stuck.key)")
        }
        await saveIfDue(worker)
    }

    /// How long a worker may take to stop a job, ms.
    static var stopGrace: Int { 10_000 }

    /// The worker is gone: everything it had goes elsewhere.
    func workerIsGone(_ worker: WorkerID, _ reason: String) async {
        guard let seat = dispatcher.seat(worker) else { return }
        dispatcher.dismissPolls(of: worker)
        for (id, held) in seat.held { await lose(id, held, on: worker, in: seat.record.endpoint, reason) }
    }
}
