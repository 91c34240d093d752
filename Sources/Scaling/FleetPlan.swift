package import Jobs

/// One thing to do about an endpoint's workers.
package enum FleetAction: Sendable, Equatable {
    case start(Int)
    /// Hand it no more jobs; the plan stops it when those it has are over.
    case drain(WorkerID, reason: String)
    /// It has no job: ask it to end.
    case stop(WorkerID, reason: String)
    /// It did not become ready in time: end it. Counts as a quick exit (`StartHistory.ended` with `wasAsked: false`).
    case giveUp(WorkerID, reason: String)
    /// No worker comes up: end the jobs that wait with this reason.
    case failQueue(reason: String)
    /// Tell the platform how many workers it shall have; before that, `FleetPlan.deletionCosts`.
    case scale(to: Int)
}

/// What to do now, and why.
///
/// A plan is made from scratch each time. Once its actions are carried out, the same moment gives a plan without actions, so nothing has to be
/// remembered between plans beyond `StartHistory`. Starts and stops keep `workersMin … workersMax`: workers that drain or were asked to end hold their
/// place below the maximum until they are gone, and none is stopped for being idle if fewer than `workersMin` would be ready.
package struct FleetPlan: Sendable, Equatable {
    package var actions: [FleetAction] = []
    /// Workers that there should be.
    package var desired = 0
    /// One sentence for the dashboard and for clients that wait.
    package var why = ""
    /// What hinders workers from coming up, if something does; part of `why`.
    package var obstacle: String?
    /// For a platform that is told a smaller number: those that cost least go first. Empty otherwise.
    package var deletionCosts: [WorkerID: Int] = [:]

    package static func decide(_ view: FleetView) -> FleetPlan {
        if let platform = view.platform { return scale(view, platform) }
        var plan = FleetPlan()
        var (capacity, occupied) = plan.endLeavers(view)
        let ready = capacity.filter(\.isReady)
        let starting = capacity.count - ready.count
        let demand = Demand(view, capacity: capacity.count, starting: starting, busy: capacity.count { $0.running > 0 }) { [capacity] moment in
            capacity.count { $0.startedAt >= moment }
        }
        let most = max(0, view.settings.workersMax), least = min(max(0, view.settings.workersMin), most)
        plan.desired = min(max(demand.workers, least), most)
        plan.why = demand.explanation
        let brake = StartBrake(view, hasReady: !ready.isEmpty, isStarting: starting > 0)

        if capacity.count > most {
            plan.shed(&capacity, by: capacity.count - most, view.now)
        }
        if plan.desired > capacity.count {
            plan.start(plan.desired - capacity.count, places: most - occupied, starting: starting, brake, view)
        } else if plan.desired < capacity.count {
            plan.stopIdle(capacity, by: capacity.count - plan.desired, keepingReady: least, view)
        }
        plan.explain(demand, capacity: capacity, starting: starting, brake, view)
        return plan
    }

    static let outdated = "the endpoint's definition has changed"

    /// Orders the end of those that have to go whatever the demand.
    /// - Returns: workers that count as capacity, and how many places are taken.
    private mutating func endLeavers(_ view: FleetView) -> (capacity: [WorkerView], occupied: Int) {
        var capacity: [WorkerView] = [], occupied = 0
        for worker in view.workers where !worker.hasLeft {
            occupied += 1
            guard !worker.isStopping, worker.state != .stopped, worker.state != .unhealthy else { continue }
            if !worker.isManaged {
                if worker.state != .draining { capacity.append(worker) }
            } else if worker.state == .draining {
                if worker.running == 0 { actions.append(.stop(worker.id, reason: worker.reason ?? "drained")) }
            } else if worker.isOutdated {
                actions.append(worker.running == 0 ? .stop(worker.id, reason: Self.outdated) : .drain(worker.id, reason: Self.outdated))
            } else if worker.hasTimedOut(at: view.now, initTimeoutSeconds: view.initTimeoutSeconds) {
                actions.append(.giveUp(worker.id, reason: "not ready after \(view.initTimeoutSeconds) s (initTimeout)"))
            } else {
                capacity.append(worker)
            }
        }
        return (capacity, occupied)
    }

    /// The maximum was lowered: those that do least go first.
    private mutating func shed(_ capacity: inout [WorkerView], by count: Int, _ now: Timestamp) {
        func order(_ worker: WorkerView) -> (Int, Int, Int) {
            switch worker.state {
            case .throttled: (0, 0, -worker.startedAt.milliseconds)
            case .initializing: (1, 0, -worker.startedAt.milliseconds)
            default: (2, worker.running, -worker.idleMilliseconds(at: now))
            }
        }
        let reason = "more workers than workersMax"
        for worker in capacity.filter(\.isManaged).sorted(by: { order($0) < order($1) }).prefix(count) {
            actions.append(worker.running == 0 ? .stop(worker.id, reason: reason) : .drain(worker.id, reason: reason))
            capacity.removeAll { $0.id == worker.id }
        }
    }

    /// - places: how many more fit below the maximum.
    private mutating func start(_ wanted: Int, places: Int, starting: Int, _ brake: StartBrake, _ view: FleetView) {
        var count = min(wanted, places, view.settings.maxStartsPerMinute - view.history.startsInLastMinute(at: view.now))
        switch brake {
        case .open: break
        case .probe: count = min(count, 1 - starting)
        case .wait: count = 0
        case .givenUp(let reason):
            count = 0
            if view.queue.inQueue > 0 { actions.append(.failQueue(reason: reason)) }
        }
        // New ones first: a stop in the same plan frees its place only when the worker is gone.
        if count > 0 { actions.insert(.start(count), at: 0) }
    }

    private mutating func stopIdle(_ capacity: [WorkerView], by surplus: Int, keepingReady least: Int, _ view: FleetView) {
        let timeout = Int(min(view.settings.idleTimeout * 1000, 1e15))
        // Ordered, still without room, and nobody asks for them any more.
        let waiting = capacity.filter { $0.isManaged && $0.state == .throttled && view.now - $0.startedAt >= timeout }
            .sorted { ($1.startedAt, $1.id) < ($0.startedAt, $0.id) }.prefix(surplus)
        for worker in waiting { actions.append(.stop(worker.id, reason: "no longer needed")) }

        let idle = capacity.filter(\.isIdle)
        let spare = min(
            surplus - waiting.count,
            capacity.count(where: \.isReady) - least,
            // As many as have jobs to wait for stay: they are about to take them.
            idle.count - min(view.queue.inQueue, idle.count))
        let expired = idle.filter { $0.isManaged && $0.idleMilliseconds(at: view.now) >= timeout }
            .sorted { ($1.idleMilliseconds(at: view.now), $0.id) < ($0.idleMilliseconds(at: view.now), $1.id) }
        for worker in expired.prefix(max(0, spare)) { actions.append(.stop(worker.id, reason: "no job for \(view.settings.idleTimeout) s (idleTimeout)")) }
    }
}
