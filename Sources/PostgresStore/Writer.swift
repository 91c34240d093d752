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
final class Writer {
    private let connection: Connection
    private let replica: String
    private let slot = Int.random(in: 0..<16)
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

    private func commit(_ batch: [Write]) throws {
        try connection.execute("BEGIN")
        let transaction = WriteTransaction(connection, slot: slot)
        try transaction.insert(batch.flatMap(\.submits))
        try transaction.lock(batch.flatMap(\.steps))
        let settle = try batch.map { try $0.run(transaction) }
        doubtful = (try transaction.flush(replica: replica), settle)
        try connection.execute("COMMIT")
        doubtful = nil
        for tell in settle { tell() }
    }

    /// After the connection was lost during a commit: asks the server what became of it, so that nothing is done twice, and tells the callers.
    private func wasCommitted() throws -> Bool {
        guard let (number, settle) = doubtful else { return false }
        let status: String?
        do {
            status = try connection.query("SELECT txid_status($1::bigint)", .int(number)).first { $0.optionalText(0) } ?? nil
        } catch {
            if error.isTransient { throw error }
            // A server that does not know the number, restored or promoted: it was not committed there.
            status = nil
        }
        switch status {
        case "committed":
            doubtful = nil
            for tell in settle { tell() }
            return true
        case "in progress":
            // The server has not noticed yet that the old connection is dead.
            throw PostgresFailure(state: "40001", message: "the outcome of a commit is not known yet", isLost: false)
        default:
            doubtful = nil
            return false
        }
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
