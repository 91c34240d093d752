import HTTPTypes
import Hummingbird
import JSON
import Logging
import NIOCore
import Synchronization

/// An HTTP server on loopback that keeps what it is asked and answers what the test wants.
final class RecordingServer: Sendable {
    struct Request: Sendable, Equatable {
        let method: String
        /// Path and query as sent.
        let target: String
        let authorization: String?
        let contentType: String?
        let body: String
    }

    /// A text is sent as it is, everything else as JSON.
    typealias Answer = @Sendable (Request) -> (status: Int, json: JSONValue)

    private let seen = Mutex<[Request]>([])
    let answer: Answer

    init(_ answer: @escaping Answer) { self.answer = answer }

    var requests: [Request] { seen.withLock { $0 } }

    /// Runs `body` with the server's address.
    func run(_ body: @Sendable @escaping (String) async throws -> Void) async throws {
        let responder = CallbackResponder { [self] (request: Hummingbird.Request, _: BasicRequestContext) -> Response in
            let buffer = try await request.body.collect(upTo: 1 << 20)
            let seen = Request(
                method: request.method.rawValue, target: request.head.path ?? "", authorization: request.headers[.authorization],
                contentType: request.headers[.contentType], body: String(buffer: buffer))
            self.seen.withLock { $0.append(seen) }
            let (status, json) = answer(seen)
            var headers = HTTPFields()
            if let location = json["location"]?.string { headers[.location] = location }
            return Response(status: .init(code: status), headers: headers, body: .init(byteBuffer: ByteBuffer(string: json.string ?? json.text)))
        }
        var logger = Logger(label: "recording")
        logger.logLevel = .critical
        let (ports, port) = AsyncStream.makeStream(of: Int.self)
        let application = Application(
            responder: responder, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in port.yield(channel.localAddress?.port ?? 0) }, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.runService(gracefulShutdownSignals: []) }
            var iterator = ports.makeAsyncIterator()
            let number = await iterator.next() ?? 0
            defer { group.cancelAll() }
            try await body("http://127.0.0.1:\(number)")
        }
    }
}
