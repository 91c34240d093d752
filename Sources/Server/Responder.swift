internal import Engine
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import JSON
internal import Logging
internal import NIOCore
internal import OpenAI

/// What Hummingbird knows about a request: its connection.
struct ConnectionContext: InitializableFromSource {
    let channel: any Channel

    init(source: ApplicationRequestContextSource) { channel = source.channel }
}

/// Answers every request: keys, cross-origin headers, routes, errors, counts.
struct Responder: HTTPResponder {
    typealias Context = ConnectionContext

    let model: ServedModel
    let options: ServerOptions
    let stats: ServerStats
    let logger: Logger
    let service: AnswerService
    private let keys: APIKeys
    private let cors: CORS

    init(model: ServedModel, options: ServerOptions, stats: ServerStats, logger: Logger) {
        self.model = model
        self.options = options
        self.stats = stats
        self.logger = logger
        service = AnswerService(model: model, options: options, stats: stats)
        keys = APIKeys(options.apiKeys)
        cors = CORS(options.cors)
    }

    func respond(to request: Request, context: ConnectionContext) async throws -> Response {
        let call = Call(request, context.channel)
        var response: Response
        do throws(APIError) {
            response = try await dispatch(call)
        } catch {
            if error.status == 503 || error.status == 429 { stats.rejected() }
            response = Self.response(error, isMessages: call.path == Route.messages.rawValue)
        }
        if let headers = cors.headers(for: request.head) {
            for field in headers { response.headers.append(field) }
        }
        if options.enableRequestIDHeaders { response.headers[RequestIdentity.header] = call.requestID }
        // Streams report when they are over, everything else now.
        if response.body.contentLength != nil { finished(call, response.status.code) }
        return response
    }

    /// Counts and logs a request that is over.
    func finished(_ call: Call, _ status: Int) {
        let route = Route.find(call.path)
        let seconds = MonotonicTime.now.seconds(since: call.arrival)
        if route?.isOperational != true {
            stats.answered(
                handler: route.map { $0 == .model ? "/v1/models/{id}" : $0.rawValue } ?? "none", method: call.request.method.rawValue,
                status: status, seconds: seconds)
        }
        if options.logsAccess {
            logger.info(
                "\(call.request.method.rawValue) \(call.path.clipped(to: 200)) \(status)",
                metadata: ["request_id": "\(call.requestID)", "seconds": "\(seconds)"])
        }
    }

    private func dispatch(_ call: Call) async throws(APIError) -> Response {
        if cors.isPreflight(call.request.head) { return Response(status: .ok) }
        if Route.isProtected(call.path), call.request.method != .options, !keys.allow(call.request.headers) { throw .unauthorized }
        guard let route = Route.find(call.path), route.isOperational || !options.isOperationalOnly else { throw .notFound(call.path) }
        guard route.methods.contains(call.request.method) else {
            throw .methodNotAllowed(call.request.method.rawValue, allowed: route.methods.map(\.rawValue))
        }
        switch route {
        case .completions, .chat, .messages: return try await generate(call, route)
        case .embeddings, .classify, .pooling, .score, .scoreV1, .rerank, .rerankV1, .rerankV2: 
            return Self.json(try await service.pool(route, try await body(of: call), call.caller))
        case .models: return Self.json(service.models())
        case .model: return Self.json(try service.modelCard(call.path))
        case .loadAdapter: return try await loadAdapter(call)
        case .unloadAdapter: return try await unloadAdapter(call)
        case .tokenize: return Self.json(try service.tokenize(try await body(of: call), call.caller))
        case .detokenize: return Self.json(try service.detokenize(try await body(of: call)))
        case .health, .ping: return try health()
        case .version: return Self.json(service.version())
        case .load:
            return json { writer in
                writer.raw("{\"server_load\":")
                writer.int(stats.current.load)
                writer.raw("}")
            }
        case .metrics:
            return Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: Metrics.page(model, stats) + (options.moreMetrics?() ?? []))))
        }
    }

    // MARK: Bodies

    func json(_ write: (inout JSONWriter) -> Void) -> Response {
        var writer = JSONWriter(capacity: 512)
        write(&writer)
        return Self.json(writer.bytes)
    }

    static func json(_ bytes: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"], body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    /// - Parameter isMessages: in Anthropic's words.
    static func response(_ error: APIError, isMessages: Bool = false) -> Response {
        let body = isMessages ? AnswerService.json { MessagesWriter.write(error, into: &$0) } : error.body
        var response = json(body, status: HTTPResponse.Status(code: error.status))
        if let seconds = error.retryAfterSeconds { response.headers[.retryAfter] = String(seconds) }
        if error.status == 401 { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }
}

/// One HTTP request and when it came.
struct Call: Sendable {
    let request: Request
    let channel: any Channel
    let path: String
    let arrival: MonotonicTime
    /// Until a body names another.
    let requestID: String
    let hasClientID: Bool

    init(_ request: Request, _ channel: any Channel) {
        self.request = request
        self.channel = channel
        path = request.uri.path
        arrival = .now
        let header = request.headers[RequestIdentity.header]
        hasClientID = header.map(RequestIdentity.isUsable) ?? false
        requestID = RequestIdentity.choose(header: header)
    }
}
