internal import Jobs
internal import Logging
internal import Providers
internal import Scaling
internal import Synchronization

/// Finding out what has become of workers.
extension Supervisor {
    /// Workers that a provider knows, of those started with one definition.
    func seats(_ group: WorkerGroup) -> [WorkerSeat] {
        core.dispatcher.seats(group.endpoint).filter { $0.record.handle != nil && $0.record.version == group.version }
    }

    /// Asks the provider about the workers it started.
    func lookAfter(_ group: WorkerGroup, _ provider: any WorkerProvider, _ history: inout StartHistory) async {
        let seats = seats(group)
        let handles = seats.compactMap(\.record.handle)
        guard !handles.isEmpty else { return }
        let states = await provider.states(handles)
        for seat in seats {
            guard let handle = seat.record.handle else { continue }
            switch states[handle] {
            case .running?:
                if seat.record.state == .throttled {
                    _ = core.dispatcher.update(seat.record.id) { seat in
                        seat.record.state = .initializing
                        seat.record.reason = nil
                        seat.loadingSince = .now
                        seat.changedSinceSave = true
                    }
                }
            case .pending(let reason)?:
                _ = core.dispatcher.update(seat.record.id) { seat in
                    guard seat.record.state == .initializing || seat.record.state == .throttled else { return }
                    if seat.record.state != .throttled || seat.record.reason != reason { seat.changedSinceSave = true }
                    seat.record.state = .throttled
                    seat.record.reason = reason
                }
            case .ended(let reason, _)?: await ended(seat, reason, provider, &history)
            case .missing?: await ended(seat, "it is gone", provider, &history)
            case .unknown(let reason)?:
                _ = core.dispatcher.update(seat.record.id) { $0.record.reason = reason }
            case nil: break
            }
            await core.saveIfDue(seat.record.id)
        }
    }

    /// A worker's process or container is over.
    private func ended(_ seat: WorkerSeat, _ reason: String, _ provider: any WorkerProvider, _ history: inout StartHistory) async {
        let worker = seat.record.id
        var text = reason
        if let own = seat.record.reason, seat.record.state == .unhealthy || seat.record.state == .draining { text = "\(own) (\(reason))" }
        var detail = text
        if !seat.wasAsked, seat.record.jobsDone == 0 || !seat.held.isEmpty, let handle = seat.record.handle,
            let lines = await provider.lastOutput(handle, lines: 8), !lines.isEmpty
        {
            detail += "; its last words: " + lines.suffix(1200)
        }
        logger.info("worker ended: \(text)", metadata: ["worker": "\(worker)", "endpoint": "\(seat.record.endpoint)", "jobs_done": "\(seat.record.jobsDone)"])
        let quickExits = history.quickExits
        history.ended(
            startedAt: seat.record.startedAt, readyAt: seat.record.readyAt, jobsDone: seat.record.jobsDone,
            // One that never got room did not crash.
            wasAsked: seat.wasAsked || seat.record.state == .throttled, reason: detail, at: .now)
        if history.quickExits > quickExits { core.signals.metrics.workerExitedQuickly(seat.record.endpoint) }
        await core.workerIsGone(worker, "worker \(worker) ended: \(text)")
        await forget(seat, text)
        if let handle = seat.record.handle { await provider.forget(handle) }
    }

    /// Tells the provider which workers are to end, all at once; again those that should have ended since: a platform may have missed it.
    /// - Parameters:
    ///   - endpoint: the definition that they were started with.
    ///   - longestGrace: seconds.
    ///   - since: what was ordered before that counts no more.
    func orderStops(
        _ group: WorkerGroup, _ provider: any WorkerProvider, _ endpoint: EndpointDefinition, longestGrace: Int = .max, since: Timestamp? = nil
    ) async {
        let now = Timestamp.now
        await withDiscardingTaskGroup { tasks in
            for seat in seats(group) where seat.isStopping || seat.record.state == .unhealthy {
                // One that does not answer will not end by itself either.
                let grace = silence(seat, Self.patience(endpoint)) == nil ? min(endpoint.stopGraceSeconds, longestGrace) : 0
                let isUnderWay = seat.stopOrderedAt.map { now - $0 <= grace * 1000 + Self.stopMargin && $0 >= since ?? $0 } ?? false
                guard let handle = seat.record.handle, !isUnderWay else { continue }
                _ = core.dispatcher.update(seat.record.id) { $0.stopOrderedAt = now }
                tasks.addTask { await provider.stop(handle, graceSeconds: grace) }
            }
        }
    }

    /// From the end of the grace to the next order, ms.
    private static let stopMargin = 10_000

    /// The worker is no more.
    func forget(_ seat: WorkerSeat, _ reason: String) async {
        var record = core.dispatcher.seat(seat.record.id)?.record ?? seat.record
        core.dispatcher.remove(record.id)
        keys.remove(record)
        record.state = .stopped
        record.reason = reason
        record.stoppedAt = .now
        overview.withLock { reports in
            reports[record.endpoint, default: EndpointReport()].ended.insert(record, at: 0)
            if let count = reports[record.endpoint]?.ended.count, count > 50 { reports[record.endpoint]?.ended.removeLast(count - 50) }
        }
        do { try await core.store.removeWorker(record.id) } catch {
            logger.warning("a worker's record was not removed: \(error)", metadata: ["worker": "\(record.id)"])
        }
    }

    /// Notes that a worker is asked to end.
    func mark(_ worker: WorkerID, asked: Bool, _ reason: String) {
        _ = core.dispatcher.update(worker) { seat in
            seat.isStopping = true
            seat.wasAsked = asked
            if seat.record.state != .unhealthy { seat.record.state = .draining }
            seat.record.reason = reason
            seat.changedSinceSave = true
        }
        core.dispatcher.dismissPolls(of: worker)
    }

    func askPlatform(_ fleet: any FleetProvider, _ memory: inout Memory, _ now: Timestamp) async {
        guard memory.platform == nil || now - memory.askedPlatformAt > 1000 else { return }
        memory.askedPlatformAt = now
        do {
            let state = try await fleet.fleet()
            memory.platform = PlatformFigures(wanted: state.wanted, ready: state.ready, reason: state.reason)
        } catch {
            let known = memory.platform ?? PlatformFigures(wanted: 0, ready: 0)
            memory.platform = PlatformFigures(wanted: known.wanted, ready: known.ready, reason: "\(error)")
        }
    }
}
