package import Jobs
internal import Prometheus
internal import Synchronization

/// What the gateway is asked over HTTP, coarse enough for metric labels.
package enum HTTPOperation: String, Sendable, CaseIterable {
    // The client API.
    case run, runsync, status
    case statusSync = "status-sync"
    case stream, cancel, retry
    case purgeQueue = "purge-queue"
    case health, requests, openai
    // Workers.
    case take = "job-take"
    case done = "job-done"
    case chunks = "job-stream"
    case stop = "job-stop"
    case ping
    // The rest.
    case admin, dashboard, metrics, other
}

/// What the store is asked to write down; jobs wait for both.
package enum StoreOperation: String, Sendable, CaseIterable {
    case submit, apply
}

/// Counts what happens since the process started; `page` writes it for Prometheus. Recording takes one lock and changes a few numbers.
package final class GatewayMetrics: Sendable {
    struct Endpoint {
        var submitted = InlineArray<3, UInt64>(repeating: 0)
        var ended = InlineArray<6, UInt64>(repeating: 0)
        var requeued: UInt64 = 0
        var chunks: UInt64 = 0
        var tokens: UInt64 = 0
        var openAIRequests: UInt64 = 0
        var openAIRequestsOpen = 0
        var workerStarts: UInt64 = 0
        var quickExits: UInt64 = 0
        var workerMilliseconds = 0
        var queueDelay = Histogram(bounds: GatewayMetrics.seconds)
        var firstToken = Histogram(bounds: GatewayMetrics.seconds)
        var execution = Histogram(bounds: GatewayMetrics.seconds)
        var coldStart = Histogram(bounds: GatewayMetrics.seconds)
    }

    struct HTTPKey: Hashable {
        let operation: HTTPOperation
        let status: Int
    }

    struct Counts {
        var endpoints: [EndpointID: Endpoint] = [:]
        var http: [HTTPKey: UInt64] = [:]
        var rateLimited: UInt64 = 0
        var unauthorized: UInt64 = 0
        var webhooks = InlineArray<5, UInt64>(repeating: 0)
        var store = InlineArray<2, Histogram> { _ in Histogram(bounds: GatewayMetrics.storeSeconds) }
        var storeErrors = InlineArray<2, UInt64>(repeating: 0)
    }

    static let seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800]
    static let storeSeconds = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]

    private let counts = Mutex(Counts())

    package init() {}

    /// What has been counted so far.
    var snapshot: Counts { counts.withLock { $0 } }

    private func change(_ endpoint: EndpointID, _ body: (inout Endpoint) -> Void) { counts.withLock { body(&$0.endpoints[endpoint, default: Endpoint()]) } }
}

// MARK: - Jobs

extension GatewayMetrics {
    package func submitted(_ endpoint: EndpointID, _ origin: JobOrigin) { change(endpoint) { $0.submitted[origin.place] += 1 } }

    /// Handed out after so long in the queue.
    package func taken(_ endpoint: EndpointID, afterMilliseconds delay: Int) { change(endpoint) { $0.queueDelay.observe(Double(delay) / 1000) } }

    /// The first chunk came so long after submission.
    package func firstToken(_ endpoint: EndpointID, afterMilliseconds delay: Int) { change(endpoint) { $0.firstToken.observe(Double(delay) / 1000) } }

    package func chunks(_ endpoint: EndpointID, _ count: Int, tokens: Int = 0) {
        change(endpoint) {
            $0.chunks += UInt64(max(0, count))
            $0.tokens += UInt64(max(0, tokens))
        }
    }

    /// Reached a terminal state.
    /// - executionMilliseconds: of the last attempt; nil: it never ran.
    package func ended(_ endpoint: EndpointID, _ state: JobState, executionMilliseconds: Int?) {
        change(endpoint) {
            $0.ended[state.place] += 1
            if let executionMilliseconds { $0.execution.observe(Double(executionMilliseconds) / 1000) }
        }
    }

    /// Back into the queue, its worker was lost.
    package func requeued(_ endpoint: EndpointID) { change(endpoint) { $0.requeued += 1 } }

    /// An OpenAI request that became a job, streamed or not; call `relayEnded` when it is over.
    package func relayBegan(_ endpoint: EndpointID) {
        change(endpoint) {
            $0.openAIRequests += 1
            $0.openAIRequestsOpen += 1
        }
    }

    package func relayEnded(_ endpoint: EndpointID) { change(endpoint) { $0.openAIRequestsOpen = max(0, $0.openAIRequestsOpen - 1) } }
}

// MARK: - Workers, requests, store

extension GatewayMetrics {
    package func workerStarted(_ endpoint: EndpointID) { change(endpoint) { $0.workerStarts += 1 } }
    /// Died before its first take.
    package func workerExitedQuickly(_ endpoint: EndpointID) { change(endpoint) { $0.quickExits += 1 } }
    /// First take, so long after the start.
    package func workerReady(_ endpoint: EndpointID, afterMilliseconds delay: Int) { change(endpoint) { $0.coldStart.observe(Double(delay) / 1000) } }
    package func workerTime(_ endpoint: EndpointID, milliseconds: Int) { change(endpoint) { $0.workerMilliseconds += max(0, milliseconds) } }

    package func request(_ operation: HTTPOperation, status: Int) {
        counts.withLock { counts in
            // Statuses are the gateway's own, but a worker's error may choose one on the OpenAI route.
            counts.http[HTTPKey(operation: operation, status: (100..<600).contains(status) ? status : 0), default: 0] += 1
            if status == 429 { counts.rateLimited += 1 }
            if status == 401 { counts.unauthorized += 1 }
        }
    }

    package func webhook(_ result: WebhookResult) { counts.withLock { $0.webhooks[result.place] += 1 } }

    package func store(_ operation: StoreOperation, took duration: Duration, failed: Bool = false) {
        counts.withLock { counts in
            counts.store[operation.place].observe(duration / .seconds(1))
            if failed { counts.storeErrors[operation.place] += 1 }
        }
    }

    /// An endpoint was removed: its numbers go.
    package func remove(_ endpoint: EndpointID) { counts.withLock { $0.endpoints[endpoint] = nil } }
}

// Places in fixed arrays; every `allCases` is as long as its array.
extension JobOrigin {
    fileprivate var place: Int {
        switch self {
        case .run: 0
        case .runsync: 1
        case .openai: 2
        }
    }
}

extension JobState {
    var place: Int {
        switch self {
        case .inQueue: 0
        case .inProgress: 1
        case .completed: 2
        case .failed: 3
        case .cancelled: 4
        case .timedOut: 5
        }
    }
}

extension WebhookResult {
    var place: Int {
        switch self {
        case .delivered: 0
        case .retried: 1
        case .givenUp: 2
        case .refused: 3
        case .dropped: 4
        }
    }
}

extension StoreOperation {
    var place: Int {
        switch self {
        case .submit: 0
        case .apply: 1
        }
    }
}
