import Gateway
import JSON
import Jobs
import Testing

@Suite struct AccessRateLimitTests {
    private func key(_ rate: Int?) -> AccessKey {
        AccessKey(name: "k", role: .client, hash: [], endpoints: nil, requestsPer10Seconds: rate, createdAt: .now)
    }

    @Test func windowNeverHoldsMoreThanTheLimitInAnyTenSeconds() {
        var generator = SplitMix(state: 7)
        for limit in [1, 3, 50] {
            var window = SlidingWindow()
            var admitted: [Int] = []
            var now = Int(generator.next() % 100_000)
            for _ in 0..<4000 {
                now += Int(generator.next() % 700) * (generator.next() % 50 == 0 ? 40 : 1)
                window.advance(to: now)
                let wait = window.wait(limit: limit, at: now)
                if wait == 0 {
                    window.record()
                    admitted.append(now)
                } else {
                    // The promise: after `wait` there is room.
                    var later = window
                    later.advance(to: now + wait)
                    #expect(later.wait(limit: limit, at: now + wait) == 0)
                    // And it is not idle: the window holds a full limit's worth.
                    #expect(window.total >= limit)
                }
                #expect(window.total == admitted.count { now / 500 - $0 / 500 < 21 })
            }
            for (index, time) in admitted.enumerated() where index >= limit { #expect(time - admitted[index - limit] >= 10_000) }
            #expect(admitted.count > limit)
        }
    }

    @Test func clocksThatGoBackAreBorne() {
        var window = SlidingWindow()
        window.advance(to: 50_000)
        window.record()
        window.advance(to: 10)
        #expect(window.total == 1)
        #expect(window.wait(limit: 1, at: 10) > 0)
    }

    @Test func operationLimitAndRetryAfter() throws {
        let limiter = RateLimiter()
        let start = ContinuousClock.now
        for _ in 0..<2 { _ = try limiter.admit(.purgeQueue, EndpointID("chat"), key: nil, workers: 0, at: start) }
        let refusal = #expect(throws: RateLimitRefusal.self) { try limiter.admit(.purgeQueue, EndpointID("chat"), key: nil, workers: 0, at: start) }
        #expect((10...11).contains(try #require(refusal).retryAfterSeconds))
        #expect(refusal?.description.contains("purge-queue") == true)
        // Another endpoint, another operation: other windows.
        _ = try limiter.admit(.purgeQueue, EndpointID("other"), key: nil, workers: 0, at: start)
        _ = try limiter.admit(.run, EndpointID("chat"), key: nil, workers: 0, at: start)
        _ = try limiter.admit(.purgeQueue, EndpointID("chat"), key: nil, workers: 0, at: start.advanced(by: .seconds(try #require(refusal).retryAfterSeconds)))
    }

    @Test func workersRaiseTheLimit() {
        let limit = OperationLimit(per10Seconds: 1000, concurrent: 200, per10SecondsPerWorker: 300, concurrentPerWorker: 10)
        #expect(limit.per10Seconds(workers: 3) == 1000)
        #expect(limit.per10Seconds(workers: 4) == 1200)
        #expect(limit.concurrent(workers: 30) == 300)
        #expect(OperationLimit(per10Seconds: nil, concurrent: nil, per10SecondsPerWorker: 300).per10Seconds(workers: 4) == nil)
        #expect(limit.per10Seconds(workers: .max) == .max)
    }

    @Test func keysLimitCountsOverAllOperationsAndRefusalsCountNothing() throws {
        let limiter = RateLimiter()
        let start = ContinuousClock.now
        _ = try limiter.admit(.run, EndpointID("a"), key: key(2), workers: 0, at: start)
        _ = try limiter.admit(.status, EndpointID("b"), key: key(2), workers: 0, at: start)
        for _ in 0..<100 {
            #expect(throws: RateLimitRefusal.self) { try limiter.admit(.purgeQueue, EndpointID("a"), key: key(2), workers: 0, at: start) }
        }
        // Those hundred took nothing from the operation's own limit.
        for _ in 0..<2 { _ = try limiter.admit(.purgeQueue, EndpointID("a"), key: key(nil), workers: 0, at: start) }
        _ = try limiter.admit(.run, EndpointID("a"), key: key(2), workers: 0, at: start.advanced(by: .milliseconds(10_501)))
    }

    @Test func ticketsEndWithTheirLastHolder() throws {
        let limiter = RateLimiter(RateLimits([.cancel: OperationLimit(per10Seconds: nil, concurrent: 2)]))
        let first = try limiter.admit(.cancel, EndpointID("a"), key: nil, workers: 0)
        do {
            let second = try limiter.admit(.cancel, EndpointID("a"), key: nil, workers: 0)
            #expect(limiter.open(.cancel, EndpointID("a")) == 2)
            let refusal = #expect(throws: RateLimitRefusal.self) { try limiter.admit(.cancel, EndpointID("a"), key: nil, workers: 0) }
            #expect(refusal?.retryAfterSeconds == 1)
            withExtendedLifetime(second) {}
        }
        #expect(limiter.open(.cancel, EndpointID("a")) == 1)
        withExtendedLifetime(first) {}
    }

    @Test func ticketsOfCancelledTasksComeBack() async throws {
        let limiter = RateLimiter()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    guard let ticket = try? limiter.admit(.status, EndpointID("a"), key: nil, workers: 0) else { return }
                    try? await Task.sleep(for: .seconds(60))
                    withExtendedLifetime(ticket) {}
                }
            }
            group.cancelAll()
        }
        #expect(limiter.open(.status, EndpointID("a")) == 0)
    }

    @Test func memoryIsBounded() throws {
        let limiter = RateLimiter(mostWindows: 64)
        let start = ContinuousClock.now
        for index in 0..<10_000 {
            _ = try limiter.admit(.purgeQueue, EndpointID("e\(index)"), key: nil, workers: 0, at: start.advanced(by: .milliseconds(index)))
            #expect(limiter.windowCount <= 64)
        }
    }

    @Test func readsSettings() throws {
        let limits = try RateLimits(["run": ["per10s": 7, "concurrentPerWorker": 3], "status": ["per10s": 0, "concurrent": 0]], "limits")
        #expect(limits[.run].per10Seconds == 7 && limits[.run].concurrent == 200 && limits[.run].concurrentPerWorker == 3)
        #expect(limits[.status].per10Seconds == nil && limits[.status].concurrent == nil)
        #expect(limits[.cancel] == RateLimits.standard[.cancel])
        #expect(try RateLimits(false, "limits")[.run].per10Seconds == nil)
        for wrong: JSONValue in [["jump": ["per10s": 1]], ["run": ["per10s": -1]], ["run": 5], true] {
            #expect(throws: DefinitionError.self) { try RateLimits(wrong, "limits") }
        }
    }
}

/// Vigna's SplitMix64, for runs that can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
