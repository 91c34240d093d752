/// What a client asks of an endpoint, as far as rates are limited.
package enum LimitedOperation: String, Sendable, CaseIterable {
    case run, runsync, status
    case statusSync = "status-sync"
    case stream, cancel
    case purgeQueue = "purge-queue"
    case openai, requests
}

/// Limits of one operation at one endpoint.
package struct OperationLimit: Sendable, Equatable {
    /// Requests in any 10 s; nil is no limit.
    package var per10Seconds: Int?
    /// Requests at a time; nil is no limit.
    package var concurrent: Int?
    /// What each running worker adds room for, in the same two measures: the limit is the larger of the base and workers times this.
    package var per10SecondsPerWorker: Int
    package var concurrentPerWorker: Int

    package init(per10Seconds: Int?, concurrent: Int?, per10SecondsPerWorker: Int = 0, concurrentPerWorker: Int = 0) {
        self.per10Seconds = per10Seconds
        self.concurrent = concurrent
        self.per10SecondsPerWorker = per10SecondsPerWorker
        self.concurrentPerWorker = concurrentPerWorker
    }

    package func per10Seconds(workers: Int) -> Int? { per10Seconds.map { max($0, Self.product(workers, per10SecondsPerWorker)) } }
    package func concurrent(workers: Int) -> Int? { concurrent.map { max($0, Self.product(workers, concurrentPerWorker)) } }

    private static func product(_ a: Int, _ b: Int) -> Int {
        let (value, overflow) = max(0, a).multipliedReportingOverflow(by: b)
        return overflow ? .max : value
    }
}

/// Limits of all operations. The bases are Runpod's; what a worker adds there is not published, and ours are round numbers.
package struct RateLimits: Sendable, Equatable {
    private var limits: [LimitedOperation: OperationLimit]

    package static let standard = RateLimits([
        .run: OperationLimit(per10Seconds: 1000, concurrent: 200, per10SecondsPerWorker: 200, concurrentPerWorker: 100),
        .runsync: OperationLimit(per10Seconds: 2000, concurrent: 400, per10SecondsPerWorker: 200, concurrentPerWorker: 100),
        .status: OperationLimit(per10Seconds: 2000, concurrent: 400, per10SecondsPerWorker: 200, concurrentPerWorker: 100),
        .statusSync: OperationLimit(per10Seconds: 2000, concurrent: 400, per10SecondsPerWorker: 200, concurrentPerWorker: 100),
        .stream: OperationLimit(per10Seconds: 2000, concurrent: 400, per10SecondsPerWorker: 200, concurrentPerWorker: 100),
        .cancel: OperationLimit(per10Seconds: 100, concurrent: 20, per10SecondsPerWorker: 20, concurrentPerWorker: 10),
        .purgeQueue: OperationLimit(per10Seconds: 2, concurrent: nil),
        .openai: OperationLimit(per10Seconds: 2000, concurrent: 400, per10SecondsPerWorker: 200, concurrentPerWorker: 100),
        .requests: OperationLimit(per10Seconds: 10, concurrent: 2),
    ])
    package static let none = RateLimits([:])

    package init(_ limits: [LimitedOperation: OperationLimit]) { self.limits = limits }

    package subscript(operation: LimitedOperation) -> OperationLimit {
        get { limits[operation] ?? OperationLimit(per10Seconds: nil, concurrent: nil) }
        set { limits[operation] = newValue }
    }
}

/// Why a request is refused with 429.
package struct RateLimitRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// For `Retry-After`: whole seconds, 1 at least.
    package let retryAfterSeconds: Int
    package let description: String
}
