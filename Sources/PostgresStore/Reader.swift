internal import Jobs

/// One caller's question.
struct Read: Sendable {
    let deadline: ContinuousClock.Instant
    /// Answers the caller, or throws.
    let run: @Sendable (Connection) throws -> Void
    let fail: @Sendable (StoreError) -> Void
}

/// Answers questions over one connection, each statement a snapshot of its own. Lives on a thread of its `BatchThread`.
final class Reader {
    private let connection: Connection

    init(url: String) { connection = Connection(url) }

    func run(_ batch: [Read]) {
        for read in batch { answer(read) }
    }

    private func answer(_ read: Read) {
        var backoff = Backoff()
        while true {
            do {
                try connection.open()
                return try read.run(connection)
            } catch let failure as PostgresFailure where failure.isTransient && read.deadline > .now {
                if failure.wantsReconnect { connection.close() }
                backoff.wait()
            } catch {
                if let failure = error as? PostgresFailure, failure.wantsReconnect { connection.close() }
                return read.fail(StoreError(postgres: error))
            }
        }
    }
}
