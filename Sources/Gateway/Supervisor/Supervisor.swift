package import Jobs
package import Logging
package import NIOCore
internal import Providers
internal import Scaling
internal import Synchronization

/// Keeps each endpoint's workers in line with its queue: asks the providers what has become of them, lets `FleetPlan` decide, carries it out.
///
/// Each endpoint has rounds of its own, one at a time (`SupervisorRound`). Of several gateways only the leader's runs.
package final class Supervisor: Sendable {
    let core: GatewayCore
    let providers: ProviderShelf
    let keys: KeyRing
    let leadership: Leadership
    let logger: Logger
    /// Where workers of this endpoint reach the gateway.
    let address: @Sendable (EndpointDefinition) -> String
    let eventLoop: any EventLoop
    let overview = Mutex<[EndpointID: EndpointReport]>([:])
    let claims = ClaimBook()
    /// Each is used by the round that has claimed the endpoint.
    let memories = Mutex<[EndpointID: Memory]>([:])

    /// What the supervisor last thought of an endpoint, for the dashboard.
    struct EndpointReport: Sendable {
        var desired = 0
        var why = ""
        var obstacle: String?
        var quickExits = 0
        /// Workers that are over, the newest first.
        var ended: [WorkerRecord] = []
    }

    /// What is kept of an endpoint between passes.
    struct Memory: Sendable {
        var history = StartHistory()
        var version = ""
        var lastPass: Timestamp?
        /// Workers' time not yet written, ms.
        var unsavedTime = 0
        var savedTimeAt = Timestamp(milliseconds: 0)
        var askedPlatformAt = Timestamp(milliseconds: 0)
        var platform: PlatformFigures?
    }

    package init(
        core: GatewayCore, providers: ProviderShelf, keys: KeyRing, leadership: Leadership, address: @escaping @Sendable (EndpointDefinition) -> String,
        eventLoop: any EventLoop, logger: Logger
    ) {
        self.core = core
        self.providers = providers
        self.keys = keys
        self.leadership = leadership
        self.address = address
        self.eventLoop = eventLoop
        self.logger = logger
    }

    /// Runs until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                let started = NIODeadline.now()
                if mayAct {
                    for round in rounds() where claims.begin(round.claims) {
                        group.addTask {
                            await self.make(round)
                            if self.claims.end(round.claims) { self.core.signals.wake() }
                        }
                    }
                    closeProviders()
                }
                // Demand wakes it at once, but a busy gateway does not make it run without a pause.
                let soonest = started + .milliseconds(20)
                if NIODeadline.now() < soonest { try? await Task.sleep(for: .milliseconds(20)) }
                _ = await core.signals.demand.take(until: started + .milliseconds(200), on: eventLoop)
            }
        }
    }

    /// Whether workers are this gateway's business, now.
    var mayAct: Bool { leadership.holds && !core.isStopping.withLock { $0 } }

    /// All that there is to look after.
    func rounds() -> [SupervisorRound] {
        let endpoints = core.endpoints.all
        let versions = Dictionary(endpoints.map { ($0.id, $0.version) }, uniquingKeysWith: { _, last in last })
        var former: Set<WorkerGroup> = []
        var removed = memories.withLock { Set($0.keys.filter { versions[$0] == nil }) }
        for seat in core.dispatcher.seats() where versions[seat.record.endpoint] != seat.record.version {
            if seat.record.handle != nil { former.insert(WorkerGroup(seat.record)) }
            if versions[seat.record.endpoint] == nil { removed.insert(seat.record.endpoint) }
        }
        return endpoints.map { .endpoint($0) } + former.map { .former($0) } + removed.map { .removed($0) }
    }

    private func make(_ round: SupervisorRound) async {
        switch round {
        case .endpoint(let endpoint):
            var memory = memories.withLock { $0[endpoint.id] } ?? Memory()
            await pass(endpoint, &memory)
            memories.withLock { $0[endpoint.id] = memory }
        case .former(let group): await endFormer(group)
        case .removed(let endpoint): await endRemoved(endpoint)
        }
    }

    private func pass(_ endpoint: EndpointDefinition, _ memory: inout Memory) async {
        let now = Timestamp.now
        if memory.version != endpoint.version {
            memory.history.reset()
            memory.platform = nil
            memory.version = endpoint.version
        }
        let provider: EndpointProvider
        do { provider = try await providers.provider(endpoint) } catch {
            report(endpoint.id, "the provider cannot be used: \(error)", obstacle: "the provider cannot be used: \(error)")
            return
        }
        if case .individual(let provider) = provider { await lookAfter(WorkerGroup(endpoint), provider, &memory.history) }
        await endSilent(core.dispatcher.seats(endpoint.id), endpoint)
        await reopenDrained(endpoint.id)
        if case .fleet(let fleet) = provider { await askPlatform(fleet, &memory, now) }
        for seat in core.dispatcher.seats(endpoint.id) where seat.record.jobsDone > 0 { memory.history.succeeded(startedAt: seat.record.startedAt) }
        let view = view(endpoint, memory, now)
        let plan = FleetPlan.decide(view)
        core.endpoints.setNote(endpoint.id, plan.obstacle)
        overview.withLock { reports in
            reports[endpoint.id, default: EndpointReport()].desired = plan.desired
            reports[endpoint.id]?.why = plan.why
            reports[endpoint.id]?.obstacle = plan.obstacle
            reports[endpoint.id]?.quickExits = memory.history.quickExits
        }
        await carryOut(plan, endpoint, provider, &memory)
        if case .individual(let provider) = provider { await orderStops(WorkerGroup(endpoint), provider, endpoint) }
        await account(endpoint.id, &memory, now)
        core.signals.series(endpoint.id).recordLevels(
            workersUp: view.workers.count { $0.state.isUp }, inQueue: view.queue.inQueue, inProgress: view.queue.inProgress)
    }

    private func view(_ endpoint: EndpointDefinition, _ memory: Memory, _ now: Timestamp) -> FleetView {
        let queue = core.dispatcher.figures(endpoint.id)
        let seats = core.dispatcher.seats(endpoint.id)
        let figures = QueueFigures(
            inQueue: queue.inQueue, lowPriorityInQueue: queue.lowPriority, inProgress: seats.reduce(0) { $0 + $1.held.count },
            lowPriorityInProgress: seats.reduce(0) { $0 + $1.held.values.count(where: \.isLowPriority) }, oldestQueuedAt: queue.oldestQueuedAt)
        let workers = seats.map { seat in
            WorkerView(
                id: seat.record.id, state: seat.record.state, startedAt: seat.record.startedAt, loadingSince: seat.loadingSince, readyAt: seat.record.readyAt,
                idleSince: seat.idleSince, running: seat.held.count, isOutdated: seat.record.handle != nil && seat.record.version != endpoint.version,
                isStopping: seat.isStopping, isManaged: seat.record.secretHash != nil, reason: seat.record.reason)
        }
        return FleetView(
            now: now, settings: endpoint.scaling, queue: figures, workers: workers, history: memory.history, initTimeoutSeconds: endpoint.initTimeoutSeconds,
            platform: memory.platform)
    }

    func report(_ endpoint: EndpointID, _ why: String, obstacle: String?) {
        core.endpoints.setNote(endpoint, obstacle)
        overview.withLock { reports in
            reports[endpoint, default: EndpointReport()].why = why
            reports[endpoint]?.obstacle = obstacle
        }
    }

    /// Providers of definitions that are no longer in force and whose workers are gone.
    private func closeProviders() {
        let endpoints = core.endpoints.all
        guard providers.count > endpoints.count else { return }
        var needed = Set(endpoints.map { WorkerGroup($0) })
        for seat in core.dispatcher.seats() where seat.record.handle != nil { needed.insert(WorkerGroup(seat.record)) }
        for case .workers(let group) in claims.taken { needed.insert(group) }
        providers.keep(needed)
    }

    private func account(_ endpoint: EndpointID, _ memory: inout Memory, _ now: Timestamp) async {
        let up = core.dispatcher.seats(endpoint).count { $0.record.state.isUp }
        if let last = memory.lastPass { memory.unsavedTime += up * max(0, now - last) }
        memory.lastPass = now
        guard memory.unsavedTime > 0, now - memory.savedTimeAt > 5000 else { return }
        do {
            try await core.store.addWorkerTime(endpoint, milliseconds: memory.unsavedTime)
            core.signals.metrics.workerTime(endpoint, milliseconds: memory.unsavedTime)
            memory.unsavedTime = 0
            memory.savedTimeAt = now
        } catch {
            logger.warning("workers' time was not written: \(error)")
        }
    }
}
