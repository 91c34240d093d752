import AsyncHTTPClient
import JSON
import NIOCore
import NIOHTTP1

/// Sends requests and times the answers.
struct LoadClient: Sendable {
    let client: HTTPClient
    let target: LoadTarget
    let clock = ContinuousClock()
    /// Zero of the records' times.
    let origin: ContinuousClock.Instant

    private static let longestRequest = TimeAmount.hours(6)
    private static let longestError = 64 << 10

    /// - Parameter connections: most that are open at once; the caller never has more requests under way.
    static func makeClient(connections: Int) -> HTTPClient {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow, timeout: .init(connect: .seconds(30)))
        configuration.httpVersion = .http1Only
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = connections
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    var now: Double { (clock.now - origin) / .seconds(1) }

    /// Never throws: failures are in the record.
    func run(_ prompt: BenchPrompt) async -> RequestRecord {
        var request = HTTPClientRequest(url: target.url)
        request.method = .POST
        request.headers = headers
        request.headers.add(name: "Content-Type", value: "application/json")
        request.body = .bytes(ByteBuffer(bytes: target.body(prompt)))
        var record = RequestRecord(start: now, promptTokens: prompt.inputTokens)
        do {
            let response = try await client.execute(request, deadline: .now() + Self.longestRequest)
            guard response.status == .ok else { throw await Self.refusal(response) }
            var parser = EventStreamParser()
            for try await buffer in response.body {
                let time = now
                try parser.feed(buffer.readableBytesView) { data in
                    if data.elementsEqual("[DONE]".utf8) { return }
                    record.take(try ReplyChunk(data), at: time)
                }
            }
            record.finish()
        } catch {
            record.error = "\(error)"
            record.latency = now - record.start
        }
        return record
    }

    /// The first model that the server at `base` names.
    static func firstModel(_ client: HTTPClient, base: String, apiKey: String?) async throws -> String {
        var base = Substring(base)
        while base.hasSuffix("/") { base = base.dropLast() }
        var request = HTTPClientRequest(url: "\(base)\(base.hasSuffix("/v1") ? "" : "/v1")/models")
        if let apiKey { request.headers.add(name: "Authorization", value: "Bearer \(apiKey)") }
        do {
            let response = try await client.execute(request, timeout: .seconds(30))
            guard response.status == .ok else { throw await refusal(response) }
            let body = try await response.body.collect(upTo: 16 << 20)
            guard let name = try JSONValue(parsing: Array(body.readableBytesView))["data"]?.array?.first?["id"]?.string else {
                throw BenchError("it names no model")
            }
            return name
        } catch {
            throw BenchError("cannot ask \(request.url) for the model, give --model: \(error)")
        }
    }

    private var headers: HTTPHeaders {
        guard let apiKey = target.apiKey else { return HTTPHeaders() }
        return ["Authorization": "Bearer \(apiKey)"]
    }

    private static func refusal(_ response: HTTPClientResponse) async -> BenchError {
        var bytes: [UInt8] = []
        do {
            for try await buffer in response.body {
                bytes += buffer.readableBytesView
                if bytes.count > longestError { break }
            }
        } catch {}  // the status alone says enough
        let error = (try? JSONValue(parsing: bytes))?["error"]
        let message = error?["message"]?.string ?? error?.string ?? ReplyChunk.excerpt(bytes)
        return BenchError("HTTP \(response.status.code): \(message)")
    }
}
