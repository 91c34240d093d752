internal import Engine
internal import Synchronization

/// Gathers the events of a reply's generations for its one writer: whatever has arrived is taken at once and written as one piece.
final class EventMailbox: Sendable {
    enum Item: Sendable {
        case event(source: Int, GenerationEvent)
        case failed(EngineError)
        /// A generation has no more events.
        case ended(source: Int)
        /// Nothing happened for the interval asked for.
        case silence
    }

    private struct State {
        var items: [Item] = []
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    func put(_ item: Item) {
        let waiter = state.withLock { state in
            state.items.append(item)
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// All items since the last call, at least one. One caller at a time.
    func take() async -> [Item] {
        while true {
            let items = state.withLock { state in
                let items = state.items
                state.items = []
                return items
            }
            if !items.isEmpty { return items }
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let ready = state.withLock { state in
                    if state.items.isEmpty { state.waiter = continuation }
                    return !state.items.isEmpty
                }
                if ready { continuation.resume() }
            }
        }
    }

    /// Reads `generation` to its end.
    func pump(_ generation: any Generation, source: Int) async {
        do throws(EngineError) {
            while let event = try await generation.next() { put(.event(source: source, event)) }
        } catch {
            put(.failed(error))
        }
        put(.ended(source: source))
    }
}
