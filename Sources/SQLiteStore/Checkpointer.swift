internal import GRDB
internal import GRDBSQLite
internal import Jobs
internal import Synchronization

/// Copies the write-ahead log into the database file on a thread and a connection of its own, so that no commit waits for it. What is written
/// meanwhile is left over; the writer copies that little rest between two commits, after which SQLite starts the log from the beginning.
final class Checkpointer: Sendable {
    /// Pages of 4 KiB in the log from which it is worth copying.
    private static let threshold = 4096

    private let progress = Progress()
    private let queue: DatabaseQueue
    private let thread: BatchThread<Void>

    private final class Progress: Sendable {
        /// Pages in the log after the last commit; written by SQLite's hook on the writer's connection.
        let pages = Atomic<Int>(0)
        let state = Atomic<State>(.idle)
    }

    private enum State: Int, AtomicRepresentable { case idle, copying, copied }

    init(_ path: String, _ configuration: Configuration) throws {
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        let progress = progress
        self.queue = queue
        thread = BatchThread(weightLimit: 1, weight: { _ in 1 }) {
            { _, _ in
                // A checkpoint that fails is tried again once the log has grown.
                _ = try? queue.writeWithoutTransaction { db in try db.checkpoint(.passive) }
                progress.state.store(.copied, ordering: .releasing)
            }
        }
    }

    /// Takes over from SQLite's automatic checkpoints on the writer's connection. Call on `self`'s writer before its first write;
    /// the connection must not outlive `self`.
    func watch(_ db: Database) {
        sqlite3_wal_hook(
            db.sqliteConnection,
            { context, _, _, pages in
                if let context { Unmanaged<Progress>.fromOpaque(context).takeUnretainedValue().pages.store(Int(pages), ordering: .relaxed) }
                return SQLITE_OK
            }, Unmanaged.passUnretained(progress).toOpaque())
    }

    /// Called by the writer between two transactions.
    func afterCommit(_ db: Database) {
        switch progress.state.load(ordering: .acquiring) {
        case .idle:
            guard progress.pages.load(ordering: .relaxed) > Self.threshold else { return }
            progress.state.store(.copying, ordering: .relaxed)
            if !thread.post(()) { progress.state.store(.idle, ordering: .relaxed) }
        case .copying: break
        case .copied:
            _ = try? db.checkpoint(.passive)
            progress.pages.store(0, ordering: .relaxed)
            progress.state.store(.idle, ordering: .relaxed)
        }
    }

    func close() async {
        await thread.close()
        try? queue.close()
    }
}
