package import Jobs
internal import Synchronization

/// Counts requests by key and by endpoint and operation, and refuses those beyond the limits. What it keeps is bounded: windows in which nothing
/// happened for 10 s are dropped when there are many.
package final class RateLimiter: Sendable {
    fileprivate struct Place: Hashable {
        let endpoint: EndpointID
        let operation: LimitedOperation
    }

    private struct State {
        var limits: RateLimits
        var keys: [String: SlidingWindow] = [:]
        var operations: [Place: SlidingWindow] = [:]
        var open: [Place: Int] = [:]
    }

    private let state: Mutex<State>
    private let start = ContinuousClock.now
    private let mostWindows: Int

    package init(_ limits: RateLimits = .standard, mostWindows: Int = 16_384) {
        state = Mutex(State(limits: limits))
        self.mostWindows = mostWindows
    }

    package func replaceLimits(_ limits: RateLimits) { state.withLock { $0.limits = limits } }

    /// Counts a request, or refuses it and counts nothing. Call once the endpoint is known to exist.
    /// - workers: that run at this endpoint now.
    /// - Returns: the request's place among those at work; hold it until the response has been written.
    package func admit(
        _ operation: LimitedOperation, _ endpoint: EndpointID, key: AccessKey?, workers: Int, at instant: ContinuousClock.Instant = .now
    ) throws(RateLimitRefusal) -> RateTicket {
        let place = Place(endpoint: endpoint, operation: operation)
        let now = Int((instant - start) / .milliseconds(1))
        let refusal = state.withLock { state in self.admit(place, key, workers, now, &state) }
        if let refusal { throw refusal }
        return RateTicket(self, place)
    }

    /// Requests of this kind that hold a ticket.
    package func open(_ operation: LimitedOperation, _ endpoint: EndpointID) -> Int {
        state.withLock { $0.open[Place(endpoint: endpoint, operation: operation)] ?? 0 }
    }

    /// Windows that are kept now.
    package var windowCount: Int { state.withLock { $0.keys.count + $0.operations.count } }

    private func admit(_ place: Place, _ key: AccessKey?, _ workers: Int, _ now: Int, _ state: inout State) -> RateLimitRefusal? {
        let limit = state.limits[place.operation]
        let what = "'\(place.operation.rawValue)' at endpoint '\(place.endpoint)'"
        if let most = limit.concurrent(workers: workers), (state.open[place] ?? 0) >= most {
            return RateLimitRefusal(retryAfterSeconds: 1, description: "too many requests at a time for \(what): the limit is \(most)")
        }
        trim(&state, now)
        if let key, let most = key.requestsPer10Seconds {
            state.keys[key.name, default: SlidingWindow()].advance(to: now)
            if let wait = state.keys[key.name]?.wait(limit: most, at: now), wait > 0 {
                return Self.refusal(wait, "too many requests with the key '\(key.name)': the limit is \(most) in 10 s")
            }
        }
        if let most = limit.per10Seconds(workers: workers) {
            state.operations[place, default: SlidingWindow()].advance(to: now)
            if let wait = state.operations[place]?.wait(limit: most, at: now), wait > 0 {
                return Self.refusal(wait, "too many requests for \(what): the limit is \(most) in 10 s")
            }
            state.operations[place]?.record()
        }
        if let key, key.requestsPer10Seconds != nil { state.keys[key.name]?.record() }
        state.open[place, default: 0] += 1
        return nil
    }

    private static func refusal(_ milliseconds: Int, _ text: String) -> RateLimitRefusal {
        let seconds = max(1, (milliseconds + 999) / 1000)
        return RateLimitRefusal(retryAfterSeconds: seconds, description: "\(text); try again in \(seconds) s")
    }

    /// Drops windows with nothing in them once there are many. Where all are busy the limits of those that were dropped begin anew.
    private func trim(_ state: inout State, _ now: Int) {
        guard state.keys.count + state.operations.count >= mostWindows else { return }
        state.keys = state.keys.filter { Self.isBusy($0.value, now) }
        state.operations = state.operations.filter { Self.isBusy($0.value, now) }
        guard state.keys.count + state.operations.count >= mostWindows else { return }
        state.keys.removeAll()
        state.operations.removeAll()
    }

    private static func isBusy(_ window: SlidingWindow, _ now: Int) -> Bool {
        var window = window
        window.advance(to: now)
        return window.total > 0
    }

    fileprivate func close(_ place: Place) {
        state.withLock { state in
            let left = (state.open[place] ?? 0) - 1
            state.open[place] = left > 0 ? left : nil
        }
    }
}

/// One request at work. It ends with its last holder: there is nothing to forget.
package final class RateTicket: Sendable {
    private let limiter: RateLimiter
    private let place: RateLimiter.Place

    fileprivate init(_ limiter: RateLimiter, _ place: RateLimiter.Place) {
        self.limiter = limiter
        self.place = place
    }

    deinit { limiter.close(place) }
}
