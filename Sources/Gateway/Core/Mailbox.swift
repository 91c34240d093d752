package import NIOCore
internal import Synchronization

/// Items for one reader, which takes whatever has come together at once and may give up waiting at a deadline.
package final class Mailbox<Item: Sendable>: Sendable {
    private struct State {
        var items: [Item] = []
        var isClosed = false
        var waiter: CheckedContinuation<Void, Never>?
        /// Until when it waits; nil: for ever.
        var deadline: NIODeadline?
        /// Kept from one wait to the next: nearly all end long before, and a timer for each would cost more than the rest of it.
        var timer: (task: Scheduled<Void>, deadline: NIODeadline)?
    }

    private let state = Mutex(State())

    package init() {}

    deinit { state.withLock { $0.timer }?.task.cancel() }

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
            let isReady = state.withLock { state in
                guard state.items.isEmpty, !state.isClosed else { return true }
                state.waiter = continuation
                state.deadline = deadline
                if let deadline { setTimer(deadline, eventLoop, &state) }
                return false
            }
            if isReady { continuation.resume() }
        }
        return state.withLock { state in
            defer { state.items = [] }
            return state.items
        }
    }

    /// An earlier timer does as well: it sets itself anew.
    private func setTimer(_ deadline: NIODeadline, _ eventLoop: any EventLoop, _ state: inout State) {
        if let timer = state.timer {
            if timer.deadline <= deadline { return }
            timer.task.cancel()
        }
        let task = eventLoop.scheduleTask(deadline: deadline) { [weak self] () -> Void in self?.expire(deadline, eventLoop) }
        state.timer = (task, deadline)
    }

    private func expire(_ deadline: NIODeadline, _ eventLoop: any EventLoop) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            // Else its cancellation came too late.
            guard state.timer?.deadline == deadline else { return nil }
            state.timer = nil
            guard let waiter = state.waiter, let end = state.deadline else { return nil }
            if end > deadline {
                setTimer(end, eventLoop, &state)
                return nil
            }
            state.waiter = nil
            return waiter
        }
        waiter?.resume()
    }

    private func wake<Result>(_ change: (inout State) -> Result) -> Result {
        let (waiter, result) = state.withLock { state in
            let result = change(&state)
            defer { state.waiter = nil }
            return (state.waiter, result)
        }
        waiter?.resume()
        return result
    }
}
