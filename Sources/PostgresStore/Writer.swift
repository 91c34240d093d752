internal import Glibc
internal import Jobs

/// One caller's write.
struct Write: Sendable {
    var submits: [NewJob] = []
    /// Steps that `run` will apply; their jobs are locked before.
    var steps: [JobStep] = []
    /// Whether it locks more than that, and so has a transaction of its own.
    var isAlone = false
    var weight = 0
    /// Until when it is tried again while the server is away.
    let deadline: ContinuousClock.Instant
    /// Does it within a transaction; may be called again after a rollback. Returns what tells the caller, to be called after the commit.
    let run: @Sendable (WriteTransaction) throws -> () -> Void
    let fail: @Sendable (StoreError) -> Void
}

/// Commits batches of writes over one connection. Lives on the thread of its `BatchThread`.
///
/// A commit whose answer is lost may have been made or not. Each transaction writes a number of its own into this writer's row of `commits`, which is asked
/// afterwards. PostgreSQL's transaction ids do not tell (`pg_xact_status`): those that had not got to the log before a crash are given out again.
final class Writer {
    private let connection: Connection
    private let replica: String
    private let slot = Int.random(in: 0..<16)
    /// Whether the writer's row is there.
    private var hasRow = false
    private var lastNumber = 0
    /// Of a transaction whose commit was not answered; one `settle` for each write of the batch.
    private var doubtful: (number: Int, settle: [() -> Void])?

    init(url: String, replica: String) {
        connection = Connection(url)
        self.replica = replica
    }

    func run(_ batch: [Write]) {
        let together = batch.filter { !$0.isAlone }
        if !together.isEmpty { carryOut(together) }
        for write in batch where write.isAlone { carryOut([write]) }
    }

    /// Tries until it is done or given up.
    private func carryOut(_ batch: [Write]) {
        var batch = batch
        var backoff = Backoff()
        doubtful = nil
        while !batch.isEmpty {
            do {
                try connection.open()
                try makeRow()
                if try !wasCommitted() { try commit(batch) }
                return
            } catch let failure as PostgresFailure where failure.isTransient {
                if failure.wantsReconnect { connection.close() } else { rollBack() }
                giveUp(&batch, failure)
                if !batch.isEmpty { backoff.wait() }
            } catch {
                rollBack()
                // One bad write must not fail the others: each on its own then.
                guard batch.count > 1 else {
                    batch[0].fail(StoreError(postgres: error))
                    return
                }
                for write in batch { carryOut([write]) }
                return
            }
        }
    }

    /// Fails the writes whose time is over; the others, and what is known about their commit, stay.
    private func giveUp(_ batch: inout [Write], _ failure: PostgresFailure) {
        let now = ContinuousClock.now
        for index in batch.indices.reversed() where batch[index].deadline < now {
            batch.remove(at: index).fail(failure.storeError)
            doubtful?.settle.remove(at: index)
        }
    }

    /// Before all else, so that a transaction under way can be seen by its lock on the row. Rows of writers that are no more go: a gateway commits every
    /// few seconds, to lead or to learn who does.
    private func makeRow() throws {
        guard !hasRow else { return }
        _ = try connection.query("DELETE FROM commits WHERE at < now() - interval '1 day'")
        _ = try connection.query("INSERT INTO commits (writer, number, at) VALUES ($1::text, 0, now()) ON CONFLICT DO NOTHING", .text(replica))
        hasRow = true
    }

    private func commit(_ batch: [Write]) throws {
        try connection.execute("BEGIN")
        let transaction = WriteTransaction(connection, slot: slot)
        try transaction.insert(batch.flatMap(\.submits))
        try transaction.lock(batch.flatMap(\.steps))
        let settle = try batch.map { try $0.run(transaction) }
        lastNumber += 1
        try transaction.flush(replica: replica, number: lastNumber)
        doubtful = (lastNumber, settle)
        try connection.execute("COMMIT")
        doubtful = nil
        for tell in settle { tell() }
    }

    /// After the connection was lost during a commit: asks the server what became of it, so that nothing is done twice, and tells the callers.
    private func wasCommitted() throws -> Bool {
        guard let (number, settle) = doubtful else { return false }
        // Refused with 55P03, which is tried again, while the server has not noticed that the old connection is dead. A server that does not know the
        // writer was restored or promoted: there it was not committed.
        let last = try connection.query("SELECT number FROM commits WHERE writer = $1::text FOR UPDATE NOWAIT", .text(replica)).first { $0.int(0) }
        doubtful = nil
        guard last == number else { return false }
        for tell in settle { tell() }
        return true
    }

    private func rollBack() {
        guard connection.isOpen else { return }
        do { try connection.execute("ROLLBACK") } catch { connection.close() }
    }
}

/// Pauses between tries: 20 ms, doubled up to a second, so that replicas do not all come back at once.
struct Backoff {
    private var milliseconds = 20

    mutating func wait() {
        usleep(UInt32(Int.random(in: milliseconds / 2...milliseconds) * 1000))
        milliseconds = min(1000, milliseconds * 2)
    }
}
