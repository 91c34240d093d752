internal import Synchronization

/// What the engine thread publishes: the figures once a step, and when the step in progress began.
final class EngineStatus: Sendable {
    private let figures: Mutex<EngineSnapshot>
    /// Nanoseconds of `MonotonicTime`; 0 between steps.
    private let stepStart = Atomic<Int64>(0)

    init(maxModelLength: Int) {
        figures = Mutex(EngineSnapshot(maxModelLength: maxModelLength))
    }

    var snapshot: EngineSnapshot { figures.withLock { $0 } }

    /// In place, so that nothing is allocated unless a reader holds a copy.
    func update(_ body: (inout EngineSnapshot) -> Void) {
        figures.withLock { body(&$0) }
    }

    func stepBegins(at time: MonotonicTime) { stepStart.store(time.nanoseconds, ordering: .relaxed) }
    func stepEnded() { stepStart.store(0, ordering: .relaxed) }

    var currentStepDuration: Duration? {
        let start = stepStart.load(ordering: .relaxed)
        return start == 0 ? nil : .nanoseconds(max(0, MonotonicTime.now.nanoseconds - start))
    }
}
