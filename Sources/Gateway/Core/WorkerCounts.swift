internal import Jobs

/// Workers by state, as `/health` names the states.
struct WorkerCounts: Sendable, Equatable {
    var idle = 0
    var initializing = 0
    var running = 0
    var throttled = 0
    var unhealthy = 0

    /// All six; `ready` is `idle`, as observed on the original.
    var named: [(name: String, value: Int)] {
        [
            ("idle", idle), ("initializing", initializing), ("ready", idle), ("running", running), ("throttled", throttled), ("unhealthy", unhealthy),
        ]
    }
}

extension GatewayCore {
    func runningWorkers(_ endpoint: EndpointID) -> Int { dispatcher.seats(endpoint).count { $0.isOpen } }

    func workerCounts(_ endpoint: EndpointID) -> WorkerCounts {
        var counts = WorkerCounts()
        for seat in dispatcher.seats(endpoint) {
            switch seat.record.state {
            case .idle: counts.idle += 1
            case .initializing: counts.initializing += 1
            case .running, .draining: counts.running += 1
            case .throttled: counts.throttled += 1
            case .unhealthy: counts.unhealthy += 1
            case .stopped: break
            }
        }
        return counts
    }
}
