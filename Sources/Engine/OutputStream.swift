internal import Sampling
internal import Synchronization

/// One entry of a step's hand-off.
enum OutputEntry: Sendable {
    case started(RequestStart)
    case token(choice: Int, id: Int32, logprobs: PositionLogprobs?)
    case pooled([Float])
    case finished(ChoiceFinish)
    /// No more events.
    case ended
    case failed(EngineError)
}

/// The buffer between the delivery thread and one request's reader. Bounded by the request's max_tokens.
final class OutputStream: Sendable {
    typealias Waiter = CheckedContinuation<Result<RequestEvent?, EngineError>, Never>

    private struct State {
        var entries: [OutputEntry] = []
        var head = 0
        var waiter: Waiter? = nil
        var isClosed = false
    }

    private let state = Mutex(State())

    /// Stores an entry without waking the reader; `wake` follows once the whole step is stored.
    func push(_ entry: OutputEntry) {
        state.withLock { state in
            if !state.isClosed { state.entries.append(entry) }
        }
    }

    /// Resumes the reader if it waits and there is something for it.
    func wake() {
        let resumed: (Waiter, Result<RequestEvent?, EngineError>)? = state.withLock { state in
            guard let waiter = state.waiter, let result = Self.take(&state) else { return nil }
            state.waiter = nil
            return (waiter, result)
        }
        if let (waiter, result) = resumed { waiter.resume(returning: result) }
    }

    /// The next event at once, or nil if the reader has to wait.
    func poll() -> Result<RequestEvent?, EngineError>? {
        state.withLock { Self.take(&$0) }
    }

    /// Hands the next event to `waiter`, now or later. One reader at a time: a second one is told that the sequence ended.
    func wait(_ waiter: Waiter) {
        let result: Result<RequestEvent?, EngineError>? = state.withLock { state in
            if let result = Self.take(&state) { return result }
            if state.waiter != nil { return .success(nil) }
            state.waiter = waiter
            return nil
        }
        if let result { waiter.resume(returning: result) }
    }

    /// The reader is gone or cancelled: drops everything and ends the sequence.
    /// - Returns: false if it had ended before.
    @discardableResult
    func close() -> Bool {
        let (waiter, wasOpen): (Waiter?, Bool) = state.withLock { state in
            defer {
                state.isClosed = true
                state.waiter = nil
                state.entries = []
                state.head = 0
            }
            return (state.waiter, !state.isClosed)
        }
        waiter?.resume(returning: .success(nil))
        return wasOpen
    }

    /// Joins neighbouring tokens of one choice.
    private static func take(_ state: inout State) -> Result<RequestEvent?, EngineError>? {
        if state.isClosed { return .success(nil) }
        guard state.head < state.entries.count else { return nil }
        let result: Result<RequestEvent?, EngineError>
        switch state.entries[state.head] {
        case .started(let start): result = .success(.started(start))
        case .pooled(let rows): result = .success(.pooled(rows))
        case .finished(let finish): result = .success(.finished(finish))
        case .ended:
            state.isClosed = true
            result = .success(nil)
        case .failed(let error):
            state.isClosed = true
            result = .failure(error)
        case .token(let choice, let id, let logprobs):
            var tokens = ChoiceTokens(choice: choice, tokenIDs: [id], logprobs: logprobs.map { [$0] } ?? [])
            while state.head + 1 < state.entries.count,
                case .token(choice, let id, let logprobs) = state.entries[state.head + 1]
            {
                tokens.tokenIDs.append(id)
                if let logprobs { tokens.logprobs.append(logprobs) }
                state.head += 1
            }
            result = .success(.tokens(tokens))
        }
        state.head += 1
        if state.head == state.entries.count {
            state.entries.removeAll(keepingCapacity: true)
            state.head = 0
        }
        return result
    }
}
