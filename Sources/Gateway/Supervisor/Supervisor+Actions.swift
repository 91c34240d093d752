internal import Jobs
internal import Logging
internal import Providers
internal import Scaling
internal import Synchronization
internal import WorkerProtocol

/// Carrying out a plan.
extension Supervisor {
    func carryOut(_ plan: FleetPlan, _ endpoint: EndpointDefinition, _ provider: EndpointProvider, _ memory: inout Memory) async {
        for action in plan.actions {
            switch (action, provider) {
            case (.start(let count), .individual(let provider)):
                memory.history.started(count, at: .now)
                let orderedAt = Timestamp.now
                for _ in 0..<count { await start(endpoint, provider, &memory, orderedAt) }
            case (.drain(let worker, let reason), _): core.drain(worker, reason)
            case (.stop(let worker, let reason), .individual(let provider)): await stop(worker, reason, endpoint, provider, asked: true)
            case (.giveUp(let worker, let reason), .individual(let provider)): await stop(worker, reason, endpoint, provider, asked: false)
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
            default: break
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
            try await core.store.save(record)
            keys.add(record)
            core.dispatcher.insert(record)
            let handle = try await provider.start(order)
            record.handle = handle
            _ = core.dispatcher.update(record.id) { $0.record.handle = handle }
            try await core.store.save(core.dispatcher.seat(record.id)?.record ?? record)
            core.signals.metrics.workerStarted(endpoint.id)
            logger.info("worker started", metadata: ["worker": "\(record.id)", "endpoint": "\(endpoint.id)", "handle": "\(handle)"])
        } catch let error as ProviderError {
            logger.error("no worker could be started: \(error)", metadata: ["endpoint": "\(endpoint.id)"])
            if !error.isCapacity { memory.history.failedToStart(orderedAt: orderedAt, reason: "\(error)", at: .now) }
            await forget(WorkerSeat(record: record), "\(error)")
        } catch {
            logger.error("no worker could be started: \(error)", metadata: ["endpoint": "\(endpoint.id)"])
            if core.dispatcher.seat(record.id)?.record.handle == nil { await forget(WorkerSeat(record: record), "\(error)") }
        }
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

    private func stop(_ worker: WorkerID, _ reason: String, _ endpoint: EndpointDefinition, _ provider: any WorkerProvider, asked: Bool) async {
        guard let seat = core.dispatcher.seat(worker), !seat.isStopping else { return }
        // A job may have come since the plan was made.
        if asked, !seat.held.isEmpty { return core.drain(worker, reason) }
        mark(worker, asked: asked, reason)
        await core.saveIfDue(worker)
        if let handle = seat.record.handle {
            logger.info("stopping worker: \(reason)", metadata: ["worker": "\(worker)", "endpoint": "\(endpoint.id)"])
            await provider.stop(handle, graceSeconds: endpoint.stopGraceSeconds)
        } else {
            await forget(seat, reason)
        }
    }

    private func failQueue(_ endpoint: EndpointID, _ reason: String) async {
        do {
            for job in try await core.store.jobs(endpoint, in: .inQueue, limit: 10_000) { try await core.apply(job.id, .fail(reason: reason), .committed) }
        } catch {
            logger.warning("jobs that wait in vain could not be ended: \(error)", metadata: ["endpoint": "\(endpoint)"])
        }
    }

    /// The gateway ends: its workers go with it, those with jobs after these are done or the time is over.
    func stopAll(graceSeconds: Int) async {
        for endpoint in core.endpoints.all {
            guard case .individual(let provider)? = try? providers.provider(endpoint) else { continue }
            for seat in core.dispatcher.seats(endpoint.id) {
                guard let handle = seat.record.handle else { continue }
                mark(seat.record.id, asked: true, "the gateway is shutting down")
                await provider.stop(handle, graceSeconds: min(graceSeconds, endpoint.stopGraceSeconds))
            }
        }
        let deadline = Timestamp.now + (graceSeconds * 1000 + 2000)
        while Timestamp.now < deadline {
            var left = 0
            for endpoint in core.endpoints.all {
                guard case .individual(let provider)? = try? providers.provider(endpoint) else { continue }
                var memory = Memory()
                await lookAfter(endpoint, provider, &memory)
                left += core.dispatcher.seats(endpoint.id).count { $0.record.handle != nil }
            }
            if left == 0 { return }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }
}
