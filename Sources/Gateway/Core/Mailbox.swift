package import NIOCore
internal import Synchronization

/// Items for one reader, which takes whatever has come together at once and may give up waiting at a deadline.
package final class Mailbox<Item: Sendable>: Sendable {
    private struct State {
        var items: [Item] = []
        var isClosed = false
        /// Counts waits, so that a timer that comes late does not end the next one.
        var wait = 0
        var waiter: CheckedContinuation<Void, Never>?
        var timer: Scheduled<Void>?
    }

    private let state = Mutex(State())

    package init() {}

    /// - Returns: false if the box is closed: nobody will get the item.
    @discardableResult
    package func put(_ item: Item) -> Bool {
        wake { state in
            if !state.isClosed { state.items.append(item) }
            return !state.isClosed
        }
    }

    /// The reader gets what is there and then, always at once, nothing.
    package func close() { wake { $0.isClosed = true } }

    /// Closes the box.
    /// - Returns: what nobody took.
    package func empty() -> [Item] {
        wake { state in
            state.isClosed = true
            defer { state.items = [] }
            return state.items
        }
    }

    package var isClosed: Bool { state.withLock { $0.isClosed } }

    /// All items since the last call; empty when the deadline has passed or the box is closed. One caller at a time.
    /// - Parameters:
    ///   - deadline: nil waits for ever.
    ///   - eventLoop: keeps the time.
    package func take(until deadline: NIODeadline?, on eventLoop: any EventLoop) async -> [Item] {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let wait: Int? = state.withLock { state in
                guard state.items.isEmpty, !state.isClosed else { return nil }
                state.wait += 1
                state.waiter = continuation
                return state.wait
            }
            guard let wait else { return continuation.resume() }
            guard let deadline else { return }
            let timer = eventLoop.scheduleTask(deadline: deadline) { self.expire(wait) }
            let isLate = state.withLock { state in
                if state.wait == wait, state.waiter != nil { state.timer = timer }
                return state.timer == nil
            }
            if isLate { timer.cancel() }
        }
        return state.withLock { state in
            defer { state.items = [] }
            return state.items
        }
    }

    private func expire(_ wait: Int) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.wait == wait else { return nil }
            defer { (state.waiter, state.timer) = (nil, nil) }
            return state.waiter
        }
        waiter?.resume()
    }

    private func wake<Result>(_ change: (inout State) -> Result) -> Result {
        let (waiter, timer, result) = state.withLock { state in
            let result = change(&state)
            defer { (state.waiter, state.timer) = (nil, nil) }
            return (state.waiter, state.timer, result)
        }
        timer?.cancel()
        waiter?.resume()
        return result
    }
}
