internal import Jobs
internal import Logging
internal import Providers
internal import Scaling
internal import Synchronization
internal import WorkerProtocol

/// Carrying out a plan.
extension Supervisor {
    func carryOut(_ plan: FleetPlan, _ endpoint: EndpointDefinition, _ provider: EndpointProvider, _ memory: inout Memory) async {
        // A slow platform can make this last.
        for action in plan.actions where mayAct {
            switch (action, provider) {
            case (.start(let count), .individual(let provider)):
                memory.history.started(count, at: .now)
                let orderedAt = Timestamp.now
                for _ in 0..<count where mayAct { await start(endpoint, provider, &memory, orderedAt) }
            case (.drain(let worker, let reason), _): core.drain(worker, reason)
            case (.stop(let worker, let reason), _): await stop(worker, reason, asked: true)
            case (.giveUp(let worker, let reason), _): await stop(worker, reason, asked: false)
            case (.failQueue(let reason), _): await failQueue(endpoint.id, reason)
            case (.scale(let count), .fleet(let fleet)):
                await fleet.rank(plan.deletionCosts)
                do {
                    try await fleet.scale(to: count)
                    memory.platform?.wanted = count
                    logger.info("scaled to \(count): \(plan.why)", metadata: ["endpoint": "\(endpoint.id)"])
                } catch {
                    report(endpoint.id, "\(plan.why); \(error)", obstacle: "\(error)")
                }
            case (.start, _), (.scale, _): break
            }
        }
    }

    private func start(_ endpoint: EndpointDefinition, _ provider: any WorkerProvider, _ memory: inout Memory, _ orderedAt: Timestamp) async {
        let secret = AccessKeyText.make(role: .worker)
        var record = WorkerRecord(id: .make(), endpoint: endpoint.id, state: .initializing, version: endpoint.version, startedAt: .now)
        record.secretHash = secret.hash
        do {
            let order = WorkerOrder(
                worker: record.id, endpoint: endpoint.id, command: try endpoint.provider.workerCommand(),
                environment: try environment(of: record.id, secret.text, endpoint), definition: endpoint.provider)
            // Known before it can ask for jobs, also to a gateway that comes after this one.
            keys.add(record)
            core.dispatcher.insert(record)
            // Not earlier: whoever ends the gateway waits for the seats that it sees.
            guard !core.isStopping.withLock({ $0 }) else { return takeBack(record) }
            try await core.store.save(record)
            record.handle = try await provider.start(order)
        } catch {
            logger.error("no worker could be started: \(error)", metadata: ["endpoint": "\(endpoint.id)"])
            if let error = error as? ProviderError, !error.isCapacity {
                memory.history.failedToStart(orderedAt: orderedAt, reason: "\(error)", at: .now)
            }
            return await forget(WorkerSeat(record: record), "\(error)")
        }
        core.signals.metrics.workerStarted(endpoint.id)
        logger.info("worker started", metadata: ["worker": "\(record.id)", "endpoint": "\(endpoint.id)", "handle": "\(record.handle ?? "")"])
        // The order may have taken long enough for others to take the record for a leftover.
        core.dispatcher.insert(record)
        _ = core.dispatcher.update(record.id) { [handle = record.handle] seat in
            seat.record.handle = handle
            // Until it is written, each pass tries again.
            seat.changedSinceSave = true
        }
        await core.saveIfDue(record.id)
    }

    private func takeBack(_ record: WorkerRecord) {
        core.dispatcher.remove(record.id)
        keys.remove(record)
    }

    /// The protocol's variables, then the definition's, which may replace them.
    private func environment(of worker: WorkerID, _ secret: String, _ endpoint: EndpointDefinition) throws(ProviderError) -> [(name: String, value: String)] {
        var variables = WorkerAddresses(base: endpoint.provider.gatewayURL ?? address(endpoint), endpoint: endpoint.id.text, worker: worker.text).environment
        variables += [
            ("RUNPOD_AI_API_KEY", secret), ("RUNPOD_POD_ID", worker.text), ("RUNPOD_ENDPOINT_ID", endpoint.id.text),
            ("RUNPOD_PING_INTERVAL", String(endpoint.pingIntervalMilliseconds)), ("RUNPOD_INIT_TIMEOUT", String(endpoint.initTimeoutSeconds)),
            // Its checks need the internet and a GPU; the definition can switch them on.
            ("RUNPOD_SKIP_AUTO_SYSTEM_CHECKS", "true"),
        ]
        let given = try endpoint.provider.expandedEnvironment()
        let own = Set(given.map(\.name))
        return variables.filter { !own.contains($0.name) } + given
    }

    /// Notes that the worker is to end; `orderStops` tells its provider.
    private func stop(_ worker: WorkerID, _ reason: String, asked: Bool) async {
        guard let seat = core.dispatcher.seat(worker), !seat.isStopping else { return }
        // A job may have come since the plan was made.
        if asked, !seat.held.isEmpty { return core.drain(worker, reason) }
        mark(worker, asked: asked, reason)
        guard seat.record.handle != nil else { return await forget(seat, reason) }
        logger.info("stopping worker: \(reason)", metadata: ["worker": "\(worker)", "endpoint": "\(seat.record.endpoint)"])
        await core.saveIfDue(worker)
    }

    private func failQueue(_ endpoint: EndpointID, _ reason: String) async {
        let now = Timestamp.now
        do {
            let steps = try await core.store.jobs(endpoint, in: .inQueue, limit: 10_000).map { JobStep($0.id, .fail(reason: reason), at: now) }
            guard !steps.isEmpty else { return }
            for (step, verdict) in zip(steps, try await core.store.apply(steps, .committed)) { core.settle(step.event, verdict, at: now) }
        } catch {
            logger.warning("jobs that wait in vain could not be ended: \(error)", metadata: ["endpoint": "\(endpoint)"])
        }
    }
}
