internal import CPostgres
package import Jobs

/// The job store of several gateways: a PostgreSQL database, reached through libpq, which is opened at run time.
///
/// Writes are gathered into transactions by one thread with one connection (`Writer`); reads use two connections of their own, and a fourth one
/// listens for what other replicas change. The server's `synchronous_commit` is left as it is, on by default, so each write is `.synced`:
/// PostgreSQL loses unsynced commits when it is killed, which `.committed` must survive.
/// While the server is away calls wait for `patience`; a commit whose answer was lost is asked for by a number that it wrote, so nothing is done twice or taken for done.
package final class PostgresStore: JobStore {
    package let isShared = true
    /// How long a call waits for a server that is away.
    static let patience = Duration.seconds(20)

    private let writes: BatchThread<Write>
    private let reads: BatchThread<Read>
    private let listener: Listener
    private let listening: BatchThread<CheckedContinuation<Void, Never>>

    /// Connects and brings the tables up to date.
    /// - url: `postgres://user:password@host:port/database`, or anything else that libpq takes. Never logged.
    package init(url: String) async throws(StoreError) {
        var message = [CChar](repeating: 0, count: 256)
        guard needletail_pq_open(&message, message.count) != 0 else {
            throw .broken(String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        guard !url.utf8.contains(0), needletail_pq_understands(url) != 0 else {
            throw .broken("libpq does not understand the URL; expected postgres://user:password@host:port/database (special characters as %xx)")
        }
        try await Self.prepare(url)
        let replica = UUIDText.random()
        let listener = try Listener.make(url: url, replica: replica)
        // A transaction holds 32 MiB of payloads or 2,000 small writes at most.
        writes = BatchThread(weightLimit: 32 << 20, weight: { $0.weight + (16 << 10) }) {
            let writer = Writer(url: url, replica: replica)
            return { batch, _ in writer.run(batch) }
        }
        reads = BatchThread(threads: 2, weightLimit: 1, weight: { _ in 1 }) {
            let reader = Reader(url: url)
            return { batch, _ in reader.run(batch) }
        }
        self.listener = listener
        listening = BatchThread(weightLimit: 1, weight: { _ in 1 }) {
            { batch, _ in
                var waiting = batch
                listener.run {
                    for caller in waiting { caller.resume() }
                    waiting = []
                }
                for caller in waiting { caller.resume() }
            }
        }
        let listening = listening
        // Changes are missed by nobody who asks for them from here on.
        await withCheckedContinuation { continuation in
            if !listening.post(continuation) { continuation.resume() }
        }
    }

    /// Connects for the first time, on a thread of its own.
    private static func prepare(_ url: String) async throws(StoreError) {
        let thread = BatchThread<Read>(weightLimit: 1, weight: { _ in 1 }) {
            { batch, _ in for read in batch { FirstConnection.answer(read, url) } }
        }
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Void, StoreError>, Never>) in
            let read = Read(
                deadline: .now + patience,
                run: { connection in
                    try Schema.migrate(connection)
                    continuation.resume(returning: .success(()))
                },
                fail: { continuation.resume(returning: .failure($0)) })
            if !thread.post(read) { read.fail(.unavailable("it is closed")) }
        }
        await thread.close()
        try result.get()
    }

    /// Queues a write and waits for its commit.
    @discardableResult
    func write<Value: Sendable>(
        submits: [NewJob] = [], steps: [JobStep] = [], isAlone: Bool = false, weight: Int = 0, placed: @Sendable () -> Void = {},
        _ body: @escaping @Sendable (WriteTransaction) throws -> Value
    ) async throws(StoreError) -> Value {
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, StoreError>, Never>) in
            let write = Write(
                submits: submits, steps: steps, isAlone: isAlone, weight: weight, deadline: .now + Self.patience,
                run: { transaction in
                    let value = try body(transaction)
                    return { continuation.resume(returning: .success(value)) }
                },
                fail: { continuation.resume(returning: .failure($0)) })
            if writes.post(write) { placed() } else { write.fail(.unavailable("it is closed")) }
        }
        return try result.get()
    }

    /// Asks over one of the readers' connections. One statement sees one snapshot.
    func read<Value: Sendable>(_ body: @escaping @Sendable (Connection) throws -> Value) async throws(StoreError) -> Value {
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, StoreError>, Never>) in
            let read = Read(
                deadline: .now + Self.patience,
                run: { continuation.resume(returning: .success(try body($0))) },
                fail: { continuation.resume(returning: .failure($0)) })
            if !reads.post(read) { read.fail(.unavailable("it is closed")) }
        }
        return try result.get()
    }

    package func changes() -> AsyncStream<StoreChange> { listener.subscribe() }

    package func close() async {
        listener.stop()
        await writes.close()
        await reads.close()
        await listening.close()
    }
}

/// The first connection fails at once where trying again would not help: wrong password, no such database.
private enum FirstConnection {
    static func answer(_ read: Read, _ url: String) {
        let connection = Connection(url)
        var backoff = Backoff()
        while true {
            do {
                try connection.open()
                return try read.run(connection)
            } catch let failure as PostgresFailure where failure.isTransient && !isRefusal(failure) && read.deadline > .now {
                connection.close()
                backoff.wait()
            } catch {
                if let failure = error as? PostgresFailure, isRefusal(failure) { return read.fail(.broken("PostgreSQL: \(failure.message)")) }
                return read.fail(StoreError(postgres: error))
            }
        }
    }

    /// libpq gives no SQLSTATE for a refused connection. FATAL comes from the server itself, which may only be starting, stopping or full.
    private static func isRefusal(_ failure: PostgresFailure) -> Bool {
        guard failure.isLost, failure.state.isEmpty, failure.message.contains("FATAL") else { return false }
        return !["starting up", "shutting down", "recovery", "too many", "remaining connection slots", "not yet accepting"].contains {
            failure.message.contains($0)
        }
    }
}
