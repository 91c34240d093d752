internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import JSON
internal import NIOCore
internal import Web

/// What Hummingbird knows about a request: its connection.
struct GatewayContext: InitializableFromSource {
    let channel: any Channel

    init(source: ApplicationRequestContextSource) { channel = source.channel }
}

/// One HTTP request to the gateway.
struct GatewayCall: Sendable {
    let request: Request
    let channel: any Channel
    /// Path components, percent-decoded.
    let path: [String]
    /// Of the query, in order.
    let parameters: [(name: String, value: String)]

    init(_ request: Request, _ channel: any Channel) {
        self.request = request
        self.channel = channel
        path = request.uri.path.split(separator: "/", omittingEmptySubsequences: true).map { String($0).percentDecoded ?? String($0) }
        parameters = (request.uri.query ?? "").split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            var value = parts.count > 1 ? String(parts[1]) : ""
            if value.utf8.contains(UInt8(ascii: "+")) { value = value.replacing("+", with: " ") }
            return (String(parts[0]).percentDecoded ?? String(parts[0]), value.percentDecoded ?? value)
        }
    }

    var method: HTTPRequest.Method { request.method }
    var eventLoop: any EventLoop { channel.eventLoop }
    var authorization: String? {
        // Anthropic's clients send the key in a header of its own.
        request.headers[.authorization] ?? request.headers[.xAPIKey]
    }

    func parameter(_ name: String) -> String? { parameters.first { $0.name == name }?.value }

    /// A whole number within a range; one outside becomes the nearest inside.
    func clamped(_ name: String, _ range: ClosedRange<Int>, default fallback: Int) throws(ClientError) -> Int {
        guard let text = parameter(name), !text.isEmpty else { return fallback }
        guard let value = Int(text) else { throw .bad("'\(name)' must be a whole number, found '\(text.prefix(40))'") }
        return min(max(value, range.lowerBound), range.upperBound)
    }

    /// The whole body. A body that is too large is not read to its end.
    func body(limit: Int, tooLarge: ClientError) async throws(ClientError) -> [UInt8] {
        if let declared = request.headers[.contentLength].flatMap({ Int($0) }), declared > limit { throw tooLarge }
        var bytes: [UInt8] = []
        do {
            for try await buffer in request.body {
                if bytes.count + buffer.readableBytes > limit { throw tooLarge }
                bytes.append(contentsOf: buffer.readableBytesView)
            }
        } catch let error as ClientError {
            throw error
        } catch {
            throw .bad("the request body could not be read")
        }
        return bytes
    }

    /// The watch that `ConnectionGuard` keeps for this connection.
    func connectionWatch() async -> ConnectionWatch {
        let find = { @Sendable [channel] in try channel.pipeline.syncOperations.handler(type: ConnectionGuard.self).watch }
        let watch = eventLoop.inEventLoop ? try? find() : try? await eventLoop.submit(find).get()
        if let watch { return watch }
        // The pipeline is gone, and so is the client.
        let closed = ConnectionWatch()
        closed.closed()
        return closed
    }
}

extension HTTPField.Name {
    static let xAPIKey = Self("X-Api-Key")!
    static let xNeedletailBatch = Self("X-Needletail-Batch")!
    static let xNeedletailBatches = Self("X-Needletail-Batches")!
    static let xNeedletailColdStart = Self("X-Needletail-Cold-Start")!
}

/// A refusal as the job API's clients read it: `{"error": "<text>"}`.
package struct ClientError: Error, Sendable {
    package var status: Int
    package var message: String
    /// Seconds after which to try again.
    package var retryAfter: Int?

    static func bad(_ message: String) -> ClientError { ClientError(status: 400, message: message) }
    static let unauthorized = ClientError(status: 401, message: "unauthorized")
    static let noEndpoint = ClientError(status: 404, message: "endpoint not found")
    static let noJob = ClientError(status: 404, message: "job not found")
    static func notFound(_ what: String) -> ClientError { ClientError(status: 404, message: what) }
    static func busy(_ message: String, retryAfter: Int) -> ClientError { ClientError(status: 429, message: message, retryAfter: retryAfter) }
    static func unavailable(_ message: String) -> ClientError { ClientError(status: 503, message: message, retryAfter: 1) }
    static func method(_ allowed: String) -> ClientError { ClientError(status: 405, message: "method not allowed; use \(allowed)") }
}

extension ClientError {
    init(_ error: some Error) {
        switch error {
        case let error as ClientError: self = error
        default: self = .unavailable("\(error)")
        }
    }
}

/// Making responses.
enum Reply {
    static func json(_ write: (inout JSONWriter) -> Void) -> Response {
        var writer = JSONWriter(capacity: 512)
        write(&writer)
        return bytes(writer.bytes)
    }

    static func bytes(_ bytes: [UInt8], type: String = "application/json", status: HTTPResponse.Status = .ok) -> Response {
        Response(status: status, headers: [.contentType: type], body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    static func error(_ error: ClientError) -> Response {
        var writer = JSONWriter(capacity: 128)
        writer.raw("{\"error\":")
        writer.string(error.message)
        writer.raw("}")
        var response = bytes(writer.bytes, status: HTTPResponse.Status(code: error.status))
        if let seconds = error.retryAfter { response.headers[.retryAfter] = String(seconds) }
        if error.status == 401 { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }

    static let nothing = Response(status: .noContent)
}
