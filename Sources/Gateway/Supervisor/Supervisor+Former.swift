internal import Jobs
internal import Logging
internal import Providers
internal import Scaling
internal import Synchronization

/// Workers of definitions that are no longer in force: only what started them can end them.
extension Supervisor {
    func endFormer(_ group: WorkerGroup) async {
        let current = core.endpoints.definition(group.endpoint)
        let provider: any WorkerProvider, endpoint: EndpointDefinition
        do { (provider, endpoint) = try await providers.starter(of: group, current: current) } catch {
            return await note("it cannot be stopped: \(error)", seats(group))
        }
        // How they end says nothing of the definition as it is now.
        var history = StartHistory()
        await lookAfter(group, provider, &history)
        guard mayAct else { return }
        if current == nil { await endRemoved(group, endpoint) }
        await orderStops(group, provider, endpoint)
    }

    /// Of an endpoint that is defined the plan says when they go, of others nobody does. They may end what they have and get nothing new.
    private func endRemoved(_ group: WorkerGroup, _ endpoint: EndpointDefinition) async {
        await endSilent(seats(group), endpoint)
        for seat in seats(group) where !seat.isStopping {
            core.drain(seat.record.id, Self.removed)
            guard seat.held.isEmpty else { continue }
            logger.info("stopping worker: \(Self.removed)", metadata: ["worker": "\(seat.record.id)", "endpoint": "\(group.endpoint)"])
            mark(seat.record.id, asked: true, Self.removed)
            await core.saveIfDue(seat.record.id)
        }
    }

    /// What is left of an endpoint that is no longer defined, besides workers that a provider knows.
    func endRemoved(_ endpoint: EndpointID) async {
        for seat in core.dispatcher.seats(endpoint) where seat.record.handle == nil {
            core.drain(seat.record.id, Self.removed)
            guard seat.held.isEmpty || silence(seat, Self.leastPatience) != nil else { continue }
            await core.workerIsGone(seat.record.id, Self.removed)
            await forget(seat, Self.removed)
        }
        guard core.dispatcher.seats(endpoint).isEmpty else { return }
        memories.withLock { $0[endpoint] = nil }
        overview.withLock { $0[endpoint] = nil }
    }

    private static let removed = "its endpoint was removed"

    /// Says why nothing can be done about workers, once.
    private func note(_ reason: String, _ seats: [WorkerSeat]) async {
        for seat in seats where seat.record.reason != reason {
            logger.error("\(reason)", metadata: ["worker": "\(seat.record.id)", "endpoint": "\(seat.record.endpoint)"])
            _ = core.dispatcher.update(seat.record.id) { seat in
                seat.record.reason = reason
                seat.changedSinceSave = true
            }
            await core.saveIfDue(seat.record.id)
        }
    }
}
