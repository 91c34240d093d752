internal import GRDB
package import Jobs
internal import Synchronization

/// The job store of a single gateway: one SQLite file in WAL mode, no server to run.
///
/// All writes go through one thread (`Writer`), which commits what callers brought meanwhile as one transaction. Reads use connections of their
/// own and see what was committed before they began. `.committed` survives the death of the process, not a loss of power; `.synced` both.
package final class SQLiteStore: JobStore {
    package let isShared = false

    private let pool: DatabasePool
    private let writes: BatchThread<Write>
    private let checkpointer: Checkpointer
    private let lock: Mutex<FileLock?>
    private let isClosed = Atomic<Bool>(false)
    private let listeners = Mutex<[AsyncStream<StoreChange>.Continuation]>([])

    /// Opens or creates the file. A `.lock` file beside it keeps a second gateway out.
    package init(path: String) throws(StoreError) {
        do {
            try prepareFile(path)
            let path = resolved(path)
            let lock = try FileLock(path + ".lock")
            let pool = try DatabasePool(path: path, configuration: Self.configuration)
            if try pool.read({ db in try Schema.migrator.hasBeenSuperseded(db) }) {
                throw StoreError.broken("'\(path)' was written by a newer version of needletail")
            }
            try Schema.migrator.migrate(pool)
            let checkpointer = try Checkpointer(path, Self.configuration)
            self.pool = pool
            self.lock = Mutex(lock)
            self.checkpointer = checkpointer
            try pool.writeWithoutTransaction { db in
                try db.execute(sql: "PRAGMA cache_size = -65536; PRAGMA journal_size_limit = 67108864")
                checkpointer.watch(db)
            }
            // A transaction holds 32 MiB of payloads or 2,000 small writes at most, so that nobody waits for ever.
            writes = BatchThread(weightLimit: 32 << 20, weight: { $0.weight + (16 << 10) }) {
                let writer = Writer(pool, checkpointer)
                return { batch, moreWaits in writer.run(batch, moreWaits: moreWaits) }
            }
        } catch {
            throw StoreError(sqlite: error)
        }
    }

    private static var configuration: Configuration {
        var configuration = Configuration()
        configuration.label = "needletail"
        configuration.busyMode = .timeout(10)
        configuration.maximumReaderCount = 4
        configuration.prepareDatabase { db in
            // Has an effect before the first table only; freed pages are given back by `Writer`.
            if !db.configuration.readonly { try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL") }
            try db.execute(sql: "PRAGMA temp_store = MEMORY")
        }
        return configuration
    }

    /// Queues a write and waits for its commit.
    /// - placed: called once it is queued.
    @discardableResult
    func write<Value: Sendable>(
        _ durability: Durability = .committed, weight: Int = 0, placed: @Sendable () -> Void = {}, _ body: @escaping @Sendable (WriteBatch) throws -> Value
    ) async throws(StoreError) -> Value {
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, StoreError>, Never>) in
            let write = Write(
                durability: durability, weight: weight,
                run: { batch in
                    let value = try body(batch)
                    return { continuation.resume(returning: .success(value)) }
                },
                fail: { continuation.resume(returning: .failure($0)) })
            if writes.post(write) { placed() } else { write.fail(.unavailable("it is closed")) }
        }
        return try result.get()
    }

    /// Reads on a connection of the pool, in one snapshot. Goes on when the task is cancelled.
    func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws(StoreError) -> Value {
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, StoreError>, Never>) in
            pool.asyncRead { access in
                do {
                    continuation.resume(returning: .success(try body(access.get())))
                } catch {
                    continuation.resume(returning: .failure(StoreError(sqlite: error)))
                }
            }
        }
        return try result.get()
    }

    package func changes() -> AsyncStream<StoreChange> {
        let (stream, continuation) = AsyncStream.makeStream(of: StoreChange.self)
        listeners.withLock { $0.append(continuation) }
        if isClosed.load(ordering: .acquiring) { continuation.finish() }
        return stream
    }

    package func close() async {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        await writes.close()
        await checkpointer.close()
        // Leaves one file. Where that fails, or the process is killed before, the next opening finds the rest in the log.
        await withCheckedContinuation { continuation in
            pool.asyncWriteWithoutTransaction { db in
                _ = try? db.checkpoint(.truncate)
                continuation.resume()
            }
        }
        try? pool.close()
        listeners.withLock { listeners in
            for listener in listeners { listener.finish() }
            listeners = []
        }
        lock.withLock { $0 = nil }
    }
}

extension StoreError {
    /// What a failure of SQLite means for callers.
    init(sqlite error: any Error) {
        if let error = error as? StoreError {
            self = error
            return
        }
        guard let error = error as? DatabaseError else {
            self = .broken("\(error)")
            return
        }
        let text = "SQLite: \(error.message ?? error.resultCode.description) (code \(error.extendedResultCode.rawValue))"
        switch error.resultCode {
        case .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_NOMEM, .SQLITE_INTERRUPT, .SQLITE_PROTOCOL, .SQLITE_SCHEMA: self = .unavailable(text)
        case .SQLITE_FULL: self = .broken(text + ": the disk is full")
        case .SQLITE_MISUSE where error.message?.contains("closed") == true: self = .unavailable("it is closed")
        default: self = .broken(text)
        }
    }
}
