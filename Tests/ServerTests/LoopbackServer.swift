import Engine
import JSON
import Logging
import NIOCore
import NIOPosix
import OpenAI
import Sampling
import Server
import StandInModel
import Synchronization
import Testing

/// A server on a free port of the loopback interface, for the duration of `body`.
struct LoopbackServer: Sendable {
    let port: Int

    static func run(
        _ generator: FakeGenerator, options: ServerOptions = ServerOptions(), defaults: GenerationDefaults = Self.defaults,
        pooled: PooledModel? = nil,
        adapterLoader: (any AdapterLoader)? = nil, _ body: @escaping @Sendable (LoopbackServer) async throws -> Void
    ) async throws {
        try await runStoppable(generator, options: options, defaults: defaults, pooled: pooled, adapterLoader: adapterLoader) { server, _ in try await body(server) }
    }

    static var defaults: GenerationDefaults {
        var defaults = GenerationDefaults()
        defaults.eosTokenIDs = [FakeText.eos]
        return defaults
    }

    /// `body` may start the shutdown itself by calling its second argument.
    static func runStoppable(
        _ generator: FakeGenerator, options: ServerOptions = ServerOptions(), defaults: GenerationDefaults = Self.defaults,
        pooled: PooledModel? = nil,
        adapterLoader: (any AdapterLoader)? = nil, _ body: @escaping @Sendable (LoopbackServer, _ stop: @escaping @Sendable () -> Void) async throws -> Void
    ) async throws {
        var options = options
        options.port = 0
        var model = ServedModel(
            names: ["fake", "alias/fake"], root: "/models/fake", maxModelLength: generator.configuration.maxModelLength, defaults: defaults,
            text: FakeText(), generator: generator, adapterLoader: adapterLoader)
        model.pooled = pooled
        let (stops, stop) = AsyncStream<Void>.makeStream()
        let (ports, port) = AsyncStream<Int>.makeStream()
        var logger = Logger(label: "test")
        logger.logLevel = .error
        let server = APIServer(model: model, options: options, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await server.run(handlesSignals: false, stop: { for await _ in stops {} }) { port.yield($0) }
            }
            var iterator = ports.makeAsyncIterator()
            let number = try #require(await iterator.next())
            do {
                try await body(LoopbackServer(port: number)) { stop.finish() }
            } catch {
                stop.finish()
                throw error
            }
            stop.finish()
            try await group.waitForAll()
        }
    }

    // MARK: Requests

    struct Reply: Sendable {
        var status = 0
        var headers: [String: String] = [:]
        var body = ""

        var json: JSONValue { (try? JSONValue(parsing: body)) ?? .null }
        var error: JSONValue { json["error"] ?? .null }
        /// Payloads of the event stream.
        var events: [String] {
            body.split(separator: "\n\n", omittingEmptySubsequences: true).map { String($0.hasPrefix("data: ") ? $0.dropFirst(6) : $0) }
        }
        var chunks: [JSONValue] { events.filter { $0 != "[DONE]" }.compactMap { try? JSONValue(parsing: $0) } }
        var text: String {
            chunks.compactMap { $0["choices"]?.array?.first }.map { $0["text"]?.string ?? $0["delta"]?["content"]?.string ?? "" }.joined()
        }
    }

    func get(_ path: String, headers: [String: String] = [:]) async throws -> Reply {
        try await send("GET", path, headers: headers, body: nil)
    }

    func post(_ path: String, _ body: String, headers: [String: String] = [:]) async throws -> Reply {
        try await send("POST", path, headers: ["Content-Type": "application/json"].merging(headers) { $1 }, body: Array(body.utf8))
    }

    func complete(_ body: String) async throws -> Reply { try await post("/v1/completions", body) }
    func chat(_ body: String) async throws -> Reply { try await post("/v1/chat/completions", body) }

    func send(_ method: String, _ path: String, headers: [String: String], body: [UInt8]?) async throws -> Reply {
        let connection = try await Connection.open(port)
        defer { connection.close() }
        try await connection.send(Self.request(method, path, headers: headers, body: body))
        return try await connection.reply()
    }

    static func request(_ method: String, _ path: String, headers: [String: String], body: [UInt8]?) -> [UInt8] {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: test\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if let body { head += "Content-Length: \(body.count)\r\n" }
        return Array((head + "\r\n").utf8) + (body ?? [])
    }
}

/// A plain TCP connection that reads HTTP/1.1 replies.
final class Connection: Sendable {
    private let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>
    private let incoming: AsyncStream<[UInt8]>
    private let buffer = Buffer()

    private final class Buffer: @unchecked Sendable {
        // Touched by the one task that reads the connection.
        var bytes: [UInt8] = []
        var iterator: AsyncStream<[UInt8]>.AsyncIterator?
    }

    private init(_ channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>) {
        self.channel = channel
        let (stream, source) = AsyncStream<[UInt8]>.makeStream()
        incoming = stream
        buffer.iterator = stream.makeAsyncIterator()
        let (outgoing, sink) = AsyncStream<[UInt8]>.makeStream()
        self.sink = sink
        Task {
            try? await channel.executeThenClose { inbound, outbound in
                await withTaskGroup(of: Void.self) { group in
                    group.addTask {
                        do { for try await piece in inbound { source.yield(Array(piece.readableBytesView)) } } catch {}
                        source.finish()
                    }
                    group.addTask {
                        for await bytes in outgoing { try? await outbound.write(ByteBuffer(bytes: bytes)) }
                    }
                    await group.waitForAll()
                }
            }
            source.finish()
        }
    }

    private let sink: AsyncStream<[UInt8]>.Continuation

    static func open(_ port: Int) async throws -> Connection {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(host: "127.0.0.1", port: port) { channel in
            channel.eventLoop.makeCompletedFuture { try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel) }
        }
        return Connection(channel)
    }

    func send(_ bytes: [UInt8]) async throws { sink.yield(bytes) }

    func close() {
        sink.finish()
        channel.channel.close(promise: nil)
    }

    /// More bytes into the buffer; false at the end of the stream.
    private func fill() async -> Bool {
        var iterator = buffer.iterator
        let piece = await iterator?.next()
        buffer.iterator = iterator
        guard let piece else { return false }
        buffer.bytes += piece
        return true
    }

    /// Everything until the server closes.
    func rest() async -> [UInt8] {
        while await fill() {}
        return buffer.bytes
    }

    /// Waits until the text so far holds `mark`.
    func wait(for mark: String) async throws {
        while !String(decoding: buffer.bytes, as: UTF8.self).contains(mark) {
            try #require(await fill(), "the connection closed before '\(mark)' came")
        }
    }

    func reply() async throws -> LoopbackServer.Reply {
        while true {
            if let (reply, used) = Self.parse(buffer.bytes) {
                buffer.bytes.removeFirst(used)
                if reply.status == 100 { continue }
                return reply
            }
            try #require(await fill(), "the connection closed inside a reply: \(String(decoding: buffer.bytes, as: UTF8.self))")
        }
    }

    private static func parse(_ bytes: [UInt8]) -> (LoopbackServer.Reply, Int)? {
        let blank = Array("\r\n\r\n".utf8)
        guard let end = bytes.indices.first(where: { bytes[$0...].starts(with: blank) }) else { return nil }
        let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
        var reply = LoopbackServer.Reply()
        reply.status = Int(lines[0].split(separator: " ")[1]) ?? 0
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            reply.headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].drop { $0 == " " }.description
        }
        var rest = end + 4
        if reply.headers["transfer-encoding"] == "chunked" {
            var body: [UInt8] = []
            while true {
                guard let newline = bytes[rest...].indices.first(where: { bytes[$0...].starts(with: [13, 10]) }),
                    let size = Int(String(decoding: bytes[rest..<newline], as: UTF8.self), radix: 16), newline + 4 + size <= bytes.count
                else { return nil }
                body += bytes[newline + 2..<newline + 2 + size]
                rest = newline + 4 + size
                if size == 0 { break }
            }
            reply.body = String(decoding: body, as: UTF8.self)
        } else if let length = reply.headers["content-length"].flatMap({ Int($0) }) {
            guard bytes.count >= rest + length else { return nil }
            reply.body = String(decoding: bytes[rest..<rest + length], as: UTF8.self)
            rest += length
        }
        return (reply, rest)
    }
}
