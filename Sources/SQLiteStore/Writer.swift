internal import GRDB
internal import Jobs

/// One caller's write.
struct Write: Sendable {
    let durability: Durability
    /// Bytes of payload, about.
    let weight: Int
    /// Does it within a transaction; may be called again after a rollback. Returns what tells the caller, to be called after the commit.
    let run: @Sendable (WriteBatch) throws -> () -> Void
    let fail: @Sendable (StoreError) -> Void
}

/// Commits batches of writes. Lives on the thread of its `BatchThread`.
final class Writer {
    private let pool: DatabasePool
    private let checkpointer: Checkpointer
    private let cache = JobCache(capacity: 20_000)
    private var isSynced: Bool?
    private var mayShrink = true

    init(_ pool: DatabasePool, _ checkpointer: Checkpointer) {
        self.pool = pool
        self.checkpointer = checkpointer
    }

    func run(_ batch: [Write], moreWaits: Bool) {
        pool.writeWithoutTransaction { db in
            commit(batch, db)
            checkpointer.afterCommit(db)
            if !moreWaits, mayShrink { shrink(db) }
        }
    }

    private func commit(_ batch: [Write], _ db: Database) {
        var settle: [() -> Void] = []
        settle.reserveCapacity(batch.count)
        do {
            try setDurability(batch.contains { $0.durability == .synced }, db)
            try db.inTransaction(.immediate) {
                let writes = WriteBatch(db, cache)
                for write in batch { settle.append(try write.run(writes)) }
                try writes.flush()
                if writes.hasDeleted { mayShrink = true }
                return .commit
            }
            for tell in settle { tell() }
        } catch {
            cache.removeAll()
            // One bad write must not fail the others: each on its own then.
            guard batch.count > 1 else {
                batch[0].fail(StoreError(sqlite: error))
                return
            }
            for write in batch { commit([write], db) }
        }
    }

    /// FULL syncs the journal on each commit; NORMAL leaves that to checkpoints.
    private func setDurability(_ synced: Bool, _ db: Database) throws {
        guard isSynced != synced else { return }
        try db.execute(sql: synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")
        isSynced = synced
    }

    /// Gives a few free pages back to the file system when more than a quarter of the file is free and nobody waits.
    private func shrink(_ db: Database) {
        do {
            let free = try Int.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0
            let all = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            mayShrink = free > 1024 && free > all / 4
            if mayShrink { try db.execute(sql: "PRAGMA incremental_vacuum(256)") }
        } catch {
            // Only space is lost; the next deletion tries again.
            mayShrink = false
        }
    }
}
