internal import Synchronization

/// Lets work be done one piece after another, in the order in which it came. What was begun is finished even where whoever asked for it is gone.
final class Turns: Sendable {
    private let last = Mutex<Task<Void, Never>?>(nil)

    func take<Value: Sendable>(_ work: @escaping @Sendable () async -> Value) async -> Value {
        let own = last.withLock { last in
            let before = last
            let own = Task {
                await before?.value
                return await work()
            }
            last = Task { _ = await own.value }
            return own
        }
        return await own.value
    }
}
