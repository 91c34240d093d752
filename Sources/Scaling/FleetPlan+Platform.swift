internal import Jobs

extension FleetPlan {
    /// The same demand for a platform that is told a number and picks the workers itself.
    ///
    /// It is told fewer only for workers that have been idle beyond the timeout: their cost is lowest, so they go first. Definition changes and
    /// crash loops are the platform's own business (rollouts, back-off); its reason is passed on.
    static func scale(_ view: FleetView, _ platform: PlatformFigures) -> FleetPlan {
        var plan = FleetPlan()
        plan.endOutdated(view)
        let known = view.workers.filter { !$0.hasLeft && !$0.isStopping && !$0.isOutdated && $0.state != .draining }
        let ready = known.filter(\.isReady)
        let busy = ready.count { $0.running > 0 }
        let wanted = max(0, platform.wanted)
        // Those not seen yet are starting: they count as added since any moment.
        let unseen = max(0, wanted - known.count)
        let demand = Demand(view, capacity: wanted, starting: max(0, wanted - ready.count), busy: busy) { moment in unseen + known.count { $0.startedAt >= moment } }
        let most = max(0, view.settings.workersMax), least = min(max(0, view.settings.workersMin), most)
        plan.desired = min(max(demand.workers, least), most)
        plan.why = demand.explanation

        var target = plan.desired
        if target < wanted {
            let timeout = Int(min(view.settings.idleTimeout * 1000, 1e15))
            let idle = ready.filter(\.isIdle)
            let expired = idle.count { $0.idleMilliseconds(at: view.now) >= timeout }
            let spare = max(0, min(expired, idle.count - min(view.queue.inQueue, idle.count)))
            target = min(most, max(target, wanted - spare))
        }
        if target != wanted { plan.actions.append(.scale(to: target)) }
        for worker in ready where target < wanted {
            // Pods that cost less are deleted first. The longer idle, the cheaper; a job weighs more than any time without one.
            plan.deletionCosts[worker.id] =
                worker.running > 0 ? 1_000_000 + min(worker.running, 1_000_000) : max(0, 1_000_000 - worker.idleMilliseconds(at: view.now) / 1000)
        }
        if let reason = platform.reason, platform.ready < wanted {
            plan.obstacle = "the platform has \(platform.ready) of \(wanted) workers ready: \(reason)"
        } else if demand.workers > most {
            plan.obstacle = "workersMax is \(most)"
        }
        if let obstacle = plan.obstacle { plan.why += "; \(obstacle)" }
        return plan
    }

    /// Workers that were started one by one, before the endpoint was given to the platform: it knows nothing of them.
    private mutating func endOutdated(_ view: FleetView) {
        for worker in view.workers where worker.isOutdated && !worker.isStopping && !worker.hasLeft {
            let reason = worker.state == .draining ? worker.reason : nil
            if worker.running == 0 {
                actions.append(.stop(worker.id, reason: reason ?? Self.outdated))
            } else if worker.state != .draining {
                actions.append(.drain(worker.id, reason: Self.outdated))
            }
        }
    }
}
