internal import Synchronization

/// Whether this gateway is the one that scales. By the clock: a lease that cannot be renewed, because the store does not answer, runs out by itself
/// before another gateway can have it.
package final class Leadership: Sendable {
    /// What the store is asked for.
    static let leaseMilliseconds = 10_000
    /// What is made of it: clocks go differently, and what was begun has to end.
    static let used = Duration.seconds(8)

    private struct Lease {
        var since: ContinuousClock.Instant
        var until: ContinuousClock.Instant
    }

    private struct State {
        var lease: Lease?
        /// When the store first said that another gateway has it, of the answers since it was last had here.
        var refusedSince: ContinuousClock.Instant?
        /// Whether that other one is alive: it has renewed its lease since.
        var isRenewedElsewhere = false
    }

    private let state = Mutex(State())
    private let isSole: Bool

    /// - Parameter isSole: there are no other gateways; nothing has to be renewed.
    package init(isSole: Bool) { self.isSole = isSole }

    package var holds: Bool { isSole || state.withLock { $0.lease.map { ContinuousClock.now < $0.until } ?? false } }

    /// Whether some other gateway is known to lead. Neither this one nor another does while the lease of one that died runs out.
    package var isElsewhere: Bool { !holds && state.withLock { $0.isRenewedElsewhere } }

    /// Whether it has been held without a break for so long that what other gateways wrote in the meantime is known here.
    package func hasHeld(milliseconds: Int) -> Bool {
        let now = ContinuousClock.now
        return isSole || state.withLock { $0.lease.map { now < $0.until && now - $0.since > .milliseconds(milliseconds) } ?? false }
    }

    /// The store has granted a lease.
    /// - Parameter asked: when it was asked, not when it answered.
    package func extend(from asked: ContinuousClock.Instant) {
        state.withLock { state in
            let held = state.lease.flatMap { ContinuousClock.now < $0.until ? $0.since : nil }
            state = State(lease: Lease(since: held ?? asked, until: asked + Self.used))
        }
    }

    /// The store says that another gateway has the lease, which may have died since.
    /// - Parameters:
    ///   - asked: when it was asked.
    ///   - answered: when it answered.
    package func refuse(asked: ContinuousClock.Instant, answered: ContinuousClock.Instant = .now) {
        state.withLock { state in
            state.lease = nil
            let since = state.refusedSince ?? answered
            state.refusedSince = since
            // A lease that still runs after its whole length was given meanwhile.
            if asked - since >= .milliseconds(Self.leaseMilliseconds) { state.isRenewedElsewhere = true }
        }
    }
}
