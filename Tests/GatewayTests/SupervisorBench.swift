import Gateway
import Glibc
import JSON
import Jobs
import Logging
import NIOPosix
import SQLiteStore
import TemporaryPath

/// A supervisor with a store and stand-ins for platforms, no server in front.
struct SupervisorBench: Sendable {
    let store: any JobStore
    let core: GatewayCore
    private let endpoints = EndpointShelf()
    let supervisor: Supervisor
    private let isDefined = AsyncStream<Void>.makeStream()

    /// - run: whether the supervisor runs, from the first `define` to the end of `body`.
    static func with(
        _ make: @escaping ProviderShelf.Make, leadership: Leadership = Leadership(isSole: true), run: Bool = true,
        _ body: (SupervisorBench) async throws -> Void
    ) async throws {
        guard let folder = temporaryFolder("needletail-gateway") else { throw StoreError.broken("no folder could be made") }
        defer {
            for name in ["", "-wal", "-shm", ".lock"] { unlink("\(folder)/jobs.sqlite\(name)") }
            rmdir(folder)
        }
        let bench = try SupervisorBench(SQLiteStore(path: folder + "/jobs.sqlite"), make, leadership)
        let outcome: Result<Void, any Error>
        let running = Task {
            for await _ in bench.isDefined.stream { break }
            if run { await bench.supervisor.run() }
        }
        do { outcome = .success(try await body(bench)) } catch { outcome = .failure(error) }
        running.cancel()
        await running.value
        await bench.store.close()
        try outcome.get()
    }

    private init(_ store: SQLiteStore, _ make: @escaping ProviderShelf.Make, _ leadership: Leadership) {
        self.store = store
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        core = GatewayCore(store: store, endpoints: endpoints, keys: KeyRing(), signals: GatewaySignals(), logger: logger)
        supervisor = Supervisor(
            core: core, providers: ProviderShelf(make), keys: KeyRing(), leadership: leadership, address: { _ in "http://127.0.0.1:1" },
            eventLoop: MultiThreadedEventLoopGroup.singleton.any(), logger: logger)
    }

    func define(_ definitions: [EndpointDefinition]) {
        endpoints.setFile(definitions)
        isDefined.continuation.finish()
    }

    /// Nothing in it makes the supervisor stop an idle worker but what a test is about.
    static func definition(_ name: String, provider: String = #""process""#, _ settings: String = #""idleTimeout": 86400"#) throws -> EndpointDefinition {
        try EndpointDefinition(EndpointID(name), try JSONValue(parsing: "{\"provider\": \(provider), \(settings)}"))
    }

    /// A worker that is there and has no job.
    /// - handle: nil: it came by itself.
    @discardableResult
    func worker(
        _ name: String, of endpoint: EndpointDefinition, handle: String? = nil, silentFor seconds: Int = 0, _ change: (inout WorkerSeat) -> Void = { _ in }
    ) async throws -> WorkerID {
        let id = WorkerID(name)
        let begin = Timestamp(milliseconds: Timestamp.now.milliseconds - seconds * 1000)
        var record = WorkerRecord(id: id, endpoint: endpoint.id, state: .idle, version: endpoint.version, startedAt: begin)
        record.handle = handle
        if handle != nil { record.secretHash = Array(repeating: 7, count: 32) }
        record.readyAt = begin
        record.seenAt = begin
        try await store.save(record)
        core.dispatcher.insert(record)
        _ = core.dispatcher.update(id, change)
        return id
    }

    /// Gives a worker a job that the store need not know.
    @discardableResult
    func job(_ name: String, on worker: WorkerID, of endpoint: EndpointDefinition, lowPriority: Bool = false) -> JobID {
        let policy = JobPolicy(executionTimeout: 600_000, timeToLive: 600_000, lowPriority: lowPriority, retention: 1000)
        core.dispatcher.assign(Job(id: JobID(name), endpoint: endpoint.id, origin: .run, policy: policy, submittedAt: .now), to: worker, at: .now)
        return JobID(name)
    }

    func state(_ worker: WorkerID) -> WorkerState? { core.dispatcher.seat(worker)?.record.state }
}
