/// Waiting that has an end.
package enum Patience {
    /// Waits for `body`, but no longer than `seconds`; it goes on by itself after that, cancelled.
    /// - Returns: whether it ended in time.
    @discardableResult
    package static func within(seconds: Double, _ body: @escaping @Sendable () async -> Void) async -> Bool {
        let (events, event) = AsyncStream<Bool>.makeStream()
        let work = Task {
            await body()
            event.yield(true)
            event.finish()
        }
        let clock = Task {
            try? await Task.sleep(for: .seconds(seconds))
            event.finish()
        }
        var isDone = false
        for await _ in events { isDone = true }
        clock.cancel()
        work.cancel()
        return isDone
    }
}
