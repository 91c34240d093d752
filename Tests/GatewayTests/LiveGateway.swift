import AsyncHTTPClient
import Gateway
import Glibc
import JSON
import Jobs
import Logging
import NIOCore
import NIOHTTP1
import SQLiteStore
import Synchronization
import TemporaryPath

/// A whole gateway on loopback with a SQLite file of its own. Nothing starts workers: they come by themselves, that is, from the test.
final class LiveGateway: Sendable {
    struct Answer: Sendable {
        var status: Int
        var text: String
        var json: JSONValue { (try? JSONValue(parsing: text)) ?? .null }
    }

    static let clientKey = "client-key-of-the-tests", adminKey = "admin-key-of-the-tests"
    static let keys: JSONValue = [["name": "app", "key": .string(clientKey)], ["name": "ops", "role": "admin", "key": .string(adminKey)]]

    let store: FlakyStore
    private let file: Mutex<JSONValue>
    private let port = Mutex(0)

    private init(_ file: JSONValue, _ store: FlakyStore) {
        self.file = Mutex(file)
        self.store = store
    }

    /// - file: the configuration; it listens on a free port of 127.0.0.1.
    static func with(_ file: JSONValue, _ body: (LiveGateway) async throws -> Void) async throws {
        guard let folder = temporaryFolder("needletail-gateway") else { throw StoreError.broken("no folder could be made") }
        let gateway = LiveGateway(file, FlakyStore(try SQLiteStore(path: folder + "/jobs.db")))
        let server = try GatewayServer(
            try gateway.read(), store: gateway.store,
            wiring: .init(makeProvider: { _ in .none }, workerExits: nil, version: "test", readConfiguration: { try gateway.read() }),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let (ready, isReady) = AsyncStream.makeStream(of: Void.self)
        let run = Task {
            defer { isReady.finish() }
            try await server.run { port in
                gateway.port.withLock { $0 = port }
                isReady.finish()
            }
        }
        for await _ in ready {}
        defer { run.cancel() }
        try await body(gateway)
        await gateway.store.close()
        for file in ["jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db.lock"] { unlink("\(folder)/\(file)") }
        rmdir(folder)
    }

    /// What a reload finds.
    func edit(_ json: JSONValue) { file.withLock { $0 = json } }

    private func read() throws -> GatewayConfiguration {
        let json = file.withLock { $0 }
        var configuration = try GatewayConfiguration(json, file: nil, environment: [:])
        if json["listen"] == nil { configuration.port = 0 }
        return configuration
    }

    func call(
        _ method: HTTPMethod, _ path: String, _ body: String? = nil, key: String? = nil, headers: [(String, String)] = []
    ) async throws -> Answer {
        let response = try await open(method, path, body, key: key, headers: headers)
        return Answer(status: Int(response.status.code), text: String(buffer: try await response.body.collect(upTo: 1 << 26)))
    }

    /// An answer whose body has yet to be read.
    func open(
        _ method: HTTPMethod, _ path: String, _ body: String? = nil, key: String? = nil, headers: [(String, String)] = []
    ) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port.withLock { $0 })\(path)")
        request.method = method
        if let key { request.headers.add(name: "Authorization", value: "Bearer \(key)") }
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        if let body { request.body = .bytes(ByteBuffer(string: body)) }
        return try await HTTPClient.shared.execute(request, timeout: .seconds(60))
    }

    /// A post whose body goes on while its answer is read.
    func stream(_ path: String, _ body: AsyncStream<ByteBuffer>) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port.withLock { $0 })\(path)")
        request.method = .POST
        request.body = .stream(body, length: .unknown)
        return try await HTTPClient.shared.execute(request, timeout: .seconds(60))
    }

    func admin(_ method: HTTPMethod, _ path: String, _ body: String? = nil) async throws -> Answer {
        try await call(method, "/admin/api/" + path, body, key: Self.adminKey)
    }
}
