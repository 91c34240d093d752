internal import Synchronization

/// Tells whoever works for a connection that its client is gone.
package final class ConnectionWatch: Sendable {
    private struct State {
        var isClosed = false
        var action: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    package init() {}

    /// Runs `action` when the client hangs up, at once if it has.
    package func onClose(_ action: @escaping @Sendable () -> Void) {
        let already = state.withLock { state in
            if !state.isClosed { state.action = action }
            return state.isClosed
        }
        if already { action() }
    }

    /// The request is over: closing means nothing any more.
    package func clear() {
        state.withLock { $0.action = nil }
    }

    package var isClosed: Bool { state.withLock { $0.isClosed } }

    package func closed() {
        let action = state.withLock { state in
            defer { (state.isClosed, state.action) = (true, nil) }
            return state.action
        }
        action?()
    }
}
