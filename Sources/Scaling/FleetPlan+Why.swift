internal import Jobs

extension FleetPlan {
    /// Completes `why` and `obstacle`.
    mutating func explain(_ demand: Demand, capacity: [WorkerView], starting: Int, _ brake: StartBrake, _ view: FleetView) {
        let ready = capacity.count - starting
        why += "; \(ready) ready, \(starting) starting, \(desired) wanted"
        let throttled = capacity.first { $0.state == .throttled }
        let started = actions.contains { if case .start = $0 { true } else { false } }
        if desired > capacity.count, !started {
            switch brake {
            case .wait(let milliseconds, let reason): obstacle = "next start in \((milliseconds + 999) / 1000) s: \(reason)"
            case .givenUp(let reason): obstacle = reason
            case .probe where starting > 0: obstacle = brake.reason
            case .open, .probe:
                if view.history.startsInLastMinute(at: view.now) >= view.settings.maxStartsPerMinute {
                    obstacle = "maxStartsPerMinute is \(view.settings.maxStartsPerMinute)"
                } else {
                    obstacle = "workers that are ending still hold their places (workersMax is \(view.settings.workersMax))"
                }
            }
        } else if let throttled {
            obstacle = "no room for another worker yet" + (throttled.reason.map { ": \($0)" } ?? "")
        } else if demand.workers > desired {
            obstacle = "workersMax is \(view.settings.workersMax)"
        } else if ready == 0, starting > 0 {
            obstacle = brake.reason
        }
        if let obstacle { why += "; \(obstacle)" }
    }
}
