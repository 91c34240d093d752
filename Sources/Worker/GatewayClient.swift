internal import AsyncHTTPClient
internal import Engine
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import Synchronization
internal import Web

/// HTTP to the gateway: one key, one pool of connections, and the record of when the gateway was last heard of.
final class GatewayClient: Sendable {
    struct Answer: Sendable {
        var status: Int
        var headers: HTTPHeaders
        var body: [UInt8]
    }

    enum Post: Sendable {
        case accepted([UInt8])
        /// The gateway does not want it: trying again cannot help.
        case refused(Int)
        /// No use within the patience.
        case failed(String)
    }

    /// Bytes: a take may bring several jobs.
    private static let longestAnswer = 256 << 20
    /// Bytes a second that a post is trusted to make at the least.
    private static let slowestPost = 256 << 10

    private let client: HTTPClient
    private let key: String
    private let agent: String
    private let lastContact: Mutex<MonotonicTime>
    let logger: Logger

    /// - Parameter key: the whole value of the `Authorization` header; empty sends none.
    init(client: HTTPClient, key: String, agent: String, logger: Logger) {
        self.client = client
        self.key = key
        self.agent = agent
        self.logger = logger
        lastContact = Mutex(.now)
    }

    /// - Parameter connections: most that are open at once.
    static func makeClient(connections: Int, on eventLoop: any EventLoop) -> HTTPClient {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .follow(max: 5, allowCycles: false), timeout: .init(connect: .seconds(10)))
        configuration.httpVersion = .http1Only
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = connections
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.tracing.tracer = nil
        // Its name notwithstanding, the place where a connection can be given a handler.
        configuration.http1_1ConnectionDebugInitializer = { channel in
            channel.eventLoop.submit { try channel.pipeline.syncOperations.addHandler(FlushPerTurn(), position: .first) }
        }
        return HTTPClient(eventLoopGroupProvider: .shared(eventLoop), configuration: configuration)
    }

    /// Seconds since the gateway answered anything.
    var secondsSinceContact: Double { MonotonicTime.now.seconds(since: lastContact.withLock { $0 }) }

    func get(_ url: String, headers extra: [(String, String)] = [], limit: TimeAmount) async throws -> Answer {
        var request = HTTPClientRequest(url: url)
        request.headers = headers(extra)
        request.headers.add(name: "Content-Type", value: "application/json")
        return try await execute(request, limit)
    }

    /// Posts until it is accepted or refused, or patience ends. Connection errors, 408, 429 and 5xx are tried again, with growing pauses.
    /// - Parameter patience: seconds.
    func post(_ url: String, _ body: [UInt8], type: String, job: String? = nil, patience: Double) async -> Post {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers = headers(job.map { [("X-Request-ID", $0)] } ?? [])
        request.headers.add(name: "Content-Type", value: type)
        if type == GatewayClient.formType { request.headers.add(name: "charset", value: "utf-8") }
        request.body = .bytes(ByteBuffer(bytes: body))
        let begin = MonotonicTime.now
        let limit = TimeAmount.seconds(60 + Int64(body.count / Self.slowestPost))
        var pause = Backoff(first: 0.1, longest: 10)
        while true {
            let reason: String
            do {
                let answer = try await execute(request, limit)
                switch answer.status {
                case 200..<300: return .accepted(answer.body)
                case 408, 429, 500...: reason = "HTTP \(answer.status)"
                default: return .refused(answer.status)
                }
            } catch {
                reason = "\(error)"
            }
            if MonotonicTime.now.seconds(since: begin) > patience { return .failed(reason) }
            logger.debug("posting to the gateway again: \(reason)")
            do { try await Task.sleep(for: .seconds(pause.next())) } catch { return .failed("stopped") }
        }
    }

    /// Begins a post whose body `start` writes, as long as the future that it returns is open, while `delegate` is given the answer; both on the event loop.
    /// - Returns: what breaks it off.
    func stream(
        _ url: String, to delegate: some HTTPClientResponseDelegate & Sendable, on eventLoop: any EventLoop,
        _ start: @escaping @Sendable (HTTPClient.Body.StreamWriter) -> EventLoopFuture<Void>
    ) throws -> @Sendable () -> Void {
        var headers = headers([])
        headers.add(name: "Content-Type", value: "application/octet-stream")
        let request = try HTTPClient.Request(url: url, method: .POST, headers: headers, body: .stream(contentLength: nil, start))
        let task = client.execute(request: request, delegate: delegate, eventLoop: .delegateAndChannel(on: eventLoop), deadline: nil)
        return { task.cancel() }
    }

    /// The gateway was heard of otherwise.
    func heard() { lastContact.withLock { $0 = .now } }

    /// What the SDK declares, though the body is JSON; the original is known to take it.
    static let formType = "application/x-www-form-urlencoded"

    private func headers(_ extra: [(String, String)]) -> HTTPHeaders {
        var headers = HTTPHeaders(extra)
        headers.add(name: "User-Agent", value: agent)
        if !key.isEmpty { headers.add(name: "Authorization", value: key) }
        return headers
    }

    private func execute(_ request: HTTPClientRequest, _ limit: TimeAmount) async throws -> Answer {
        let response = try await client.execute(request, timeout: limit)
        let body = try await response.body.collect(upTo: Self.longestAnswer)
        lastContact.withLock { $0 = .now }
        return Answer(status: Int(response.status.code), headers: response.headers, body: Array(body.readableBytesView))
    }
}

/// Pauses that double, with jitter.
struct Backoff: Sendable {
    private let first: Double
    private let longest: Double
    private var current: Double

    /// In seconds.
    init(first: Double, longest: Double) {
        self.first = first
        self.longest = longest
        current = first
    }

    mutating func next() -> Double {
        defer { current = min(longest, current * 2) }
        return current * Double.random(in: 0.75...1.25)
    }

    mutating func reset() { current = first }
}
