import Jobs
import Scaling

/// Seconds since the test's own beginning.
func at(_ seconds: Double) -> Timestamp { Timestamp(milliseconds: 1_000_000_000 + Int(seconds * 1000)) }

func settings(
    _ rule: ScalingSettings.Rule = .queueDelay, value: Double = 4, min: Int = 0, max: Int = 3, idleTimeout: Double = 5, starts: Int = 60
) -> ScalingSettings {
    var settings = ScalingSettings()
    settings.rule = rule
    settings.value = value
    settings.workersMin = min
    settings.workersMax = max
    settings.idleTimeout = idleTimeout
    settings.maxStartsPerMinute = starts
    return settings
}

func worker(
    _ name: String, _ state: WorkerState, startedAt: Double = 0, idleSince: Double? = nil, running: Int = 0, outdated: Bool = false,
    stopping: Bool = false, managed: Bool = true
) -> WorkerView {
    let isReady = state == .idle || state == .running || state == .draining
    return WorkerView(
        id: WorkerID(name), state: state, startedAt: at(startedAt), readyAt: isReady ? at(startedAt) : nil, idleSince: idleSince.map(at),
        running: running, isOutdated: outdated, isStopping: stopping, isManaged: managed)
}

func plan(
    _ now: Double, _ settings: ScalingSettings, _ queue: QueueFigures = QueueFigures(), _ workers: [WorkerView] = [],
    _ history: StartHistory = StartHistory(), platform: PlatformFigures? = nil
) -> FleetPlan {
    FleetPlan.decide(
        FleetView(now: at(now), settings: settings, queue: queue, workers: workers, history: history, initTimeoutSeconds: 60, platform: platform))
}

extension FleetPlan {
    var starts: Int { actions.reduce(0) { if case .start(let count) = $1 { $0 + count } else { $0 } } }
    var stopped: [String] { actions.compactMap { if case .stop(let id, _) = $0 { id.text } else { nil } } }
    var drained: [String] { actions.compactMap { if case .drain(let id, _) = $0 { id.text } else { nil } } }
    var givenUp: [String] { actions.compactMap { if case .giveUp(let id, _) = $0 { id.text } else { nil } } }
    var failure: String? { actions.compactMap { if case .failQueue(let reason) = $0 { reason } else { nil } }.first }
    var scale: Int? { actions.compactMap { if case .scale(let count) = $0 { count } else { nil } }.first }
}
