package import Jobs

extension PostgresStore {
    package func submit(_ jobs: [NewJob], _ durability: Durability, placed: @escaping @Sendable () -> Void) async throws(StoreError) {
        let weight = jobs.reduce(0) { $0 + $1.payload.input.count + ($1.payload.extras?.count ?? 0) }
        guard weight <= Self.largestMessage else { throw .broken("payloads of \(weight) bytes are too large for one call") }
        try await write(submits: jobs, weight: weight, placed: placed) { _ in }
    }

    package func apply(_ steps: [JobStep], _ durability: Durability) async throws(StoreError) -> [JobVerdict] {
        let weight = steps.reduce(0) { $0 + $1.event.byteCount }
        guard weight <= Self.largestMessage else { throw .broken("results of \(weight) bytes are too large for one call") }
        return try await write(steps: steps, weight: weight) { transaction in steps.map { transaction.apply($0) } }
    }

    package func purge(_ endpoint: EndpointID, at now: Timestamp) async throws(StoreError) -> [Job] {
        try await write(isAlone: true) { transaction in
            let waiting = try transaction.connection.query(
                "SELECT \(JobRow.columns) FROM jobs WHERE endpoint = $1::text AND state = $2::text ORDER BY id FOR UPDATE",
                .text(endpoint.text), .text(JobState.inQueue.rawValue)
            ).map { try Job($0) }
            transaction.adopt(waiting)
            return waiting.sorted { ($0.policy.lowPriority ? 1 : 0, $0.queuedAt) < ($1.policy.lowPriority ? 1 : 0, $1.queuedAt) }.compactMap { job in
                if case .applied(let job) = transaction.apply(JobStep(job.id, .cancel, at: now)) { job } else { nil }
            }
        }
    }

    package func expire(at now: Timestamp, limit: Int) async throws(StoreError) -> [Job] {
        // Nothing is due most times: found out without a transaction.
        let isDue = try await read { try $0.query("SELECT 1::bigint FROM jobs WHERE expires_at <= $1::bigint LIMIT 1", .int(now.milliseconds)).count > 0 }
        guard isDue, limit > 0 else { return [] }
        return try await write(isAlone: true) { transaction in
            let over = try transaction.connection.query(
                """
                SELECT \(JobRow.columns) FROM jobs WHERE expires_at <= $1::bigint ORDER BY expires_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED
                """, .int(now.milliseconds), .int(limit)
            ).map { try Job($0) }
            try transaction.remove(over)
            return over
        }
    }

    /// PostgreSQL takes 1 GiB in one message, and a value's array must fit.
    private static var largestMessage: Int { 900_000_000 }
}

extension JobEvent {
    /// Bytes that it brings along, about.
    fileprivate var byteCount: Int {
        switch self {
        case .progress(_, let value): value.count
        case .append(_, _, let chunks, _): chunks.reduce(0) { $0 + $1.body.count + ($1.resume?.count ?? 0) + 32 }
        case .finish(_, _, .completed(let output)): output?.count ?? 0
        case .finish(_, _, .failed(let error, let output)): error.utf8.count + (output?.count ?? 0)
        case .take, .drain, .cancel, .retry, .lose, .giveBack, .timeOut, .fail, .retain: 0
        }
    }
}
