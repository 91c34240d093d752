internal import Synchronization

/// Whether this gateway is the one that scales. By the clock: a lease that cannot be renewed, because the store does not answer, runs out by itself
/// before another gateway can have it.
package final class Leadership: Sendable {
    /// What the store is asked for.
    static let leaseMilliseconds = 10_000
    /// What is made of it: clocks go differently, and what was begun has to end.
    static let used = Duration.seconds(8)

    private struct State {
        var since: ContinuousClock.Instant
        var until: ContinuousClock.Instant
    }

    private let state = Mutex<State?>(nil)
    private let isSole: Bool

    /// - Parameter isSole: there are no other gateways; nothing has to be renewed.
    package init(isSole: Bool) { self.isSole = isSole }

    package var holds: Bool { isSole || state.withLock { $0.map { ContinuousClock.now < $0.until } ?? false } }

    /// Whether it has been held without a break for so long that what other gateways wrote in the meantime is known here.
    package func hasHeld(milliseconds: Int) -> Bool {
        let now = ContinuousClock.now
        return isSole || state.withLock { $0.map { now < $0.until && now - $0.since > .milliseconds(milliseconds) } ?? false }
    }

    /// The store has granted a lease.
    /// - Parameter asked: when it was asked, not when it answered.
    package func extend(from asked: ContinuousClock.Instant) {
        state.withLock { state in
            let isHeld = state.map { ContinuousClock.now < $0.until } ?? false
            state = State(since: isHeld ? state?.since ?? asked : asked, until: asked + Self.used)
        }
    }

    /// The store says that another gateway leads.
    package func end() { state.withLock { $0 = nil } }
}
