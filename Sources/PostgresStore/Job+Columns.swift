internal import Jobs

/// How jobs lie in their rows.
enum JobRow {
    static let columns = """
        id, endpoint, origin, execution_timeout, time_to_live, low_priority, retention, webhook, prefix, submitted_at, \
        state, queued_at, taken_at, finished_at, expires_at, worker, attempt, retries, loss_reason, chunk_count, drained_count, posted_count
        """

    /// Adds jobs from one array a column; answers with the ids of those that were not there.
    static let insert = """
        INSERT INTO jobs (\(columns))
        SELECT * FROM unnest(
            $1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::boolean[], $7::bigint[], $8::text[], $9::bytea[], $10::bigint[],
            $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[], $17::bigint[], $18::bigint[], $19::text[],
            $20::bigint[], $21::bigint[], $22::bigint[])
        ON CONFLICT (id) DO NOTHING RETURNING id
        """

    static let update = """
        UPDATE jobs SET retention = n.retention, state = n.state, queued_at = n.queued_at, taken_at = n.taken_at, finished_at = n.finished_at,
            expires_at = n.expires_at, worker = n.worker, attempt = n.attempt, retries = n.retries, loss_reason = n.loss_reason,
            chunk_count = n.chunk_count, drained_count = n.drained_count, posted_count = n.posted_count
        FROM unnest(
            $1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::bigint[],
            $10::bigint[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[])
            AS n (id, retention, state, queued_at, taken_at, finished_at, expires_at, worker, attempt, retries, loss_reason,
                chunk_count, drained_count, posted_count)
        WHERE jobs.id = n.id
        """

    static func insertParameters(_ jobs: [Job]) -> [Parameter] {
        [
            .texts(jobs.map(\.id.text)), .texts(jobs.map(\.endpoint.text)), .texts(jobs.map(\.origin.rawValue)),
            .ints(jobs.map(\.policy.executionTimeout)), .ints(jobs.map(\.policy.timeToLive)), .bools(jobs.map(\.policy.lowPriority)),
            .ints(jobs.map(\.policy.retention)), .texts(jobs.map(\.webhook)), .byteses(jobs.map { PrefixBytes.bytes($0.prefix) }),
            .ints(jobs.map(\.submittedAt.milliseconds)), .texts(jobs.map(\.state.rawValue)), .ints(jobs.map(\.queuedAt.milliseconds)),
            .ints(jobs.map(\.takenAt?.milliseconds)), .ints(jobs.map(\.finishedAt?.milliseconds)), .ints(jobs.map(\.expiresAt.milliseconds)),
            .texts(jobs.map(\.worker?.text)), .ints(jobs.map(\.attempt)), .ints(jobs.map(\.retries)), .texts(jobs.map(\.lossReason)),
            .ints(jobs.map(\.chunkCount)), .ints(jobs.map(\.drainedCount)), .ints(jobs.map(\.postedCount)),
        ]
    }

    static func updateParameters(_ jobs: [Job]) -> [Parameter] {
        [
            .texts(jobs.map(\.id.text)), .ints(jobs.map(\.policy.retention)), .texts(jobs.map(\.state.rawValue)),
            .ints(jobs.map(\.queuedAt.milliseconds)), .ints(jobs.map(\.takenAt?.milliseconds)), .ints(jobs.map(\.finishedAt?.milliseconds)),
            .ints(jobs.map(\.expiresAt.milliseconds)), .texts(jobs.map(\.worker?.text)), .ints(jobs.map(\.attempt)), .ints(jobs.map(\.retries)),
            .texts(jobs.map(\.lossReason)), .ints(jobs.map(\.chunkCount)), .ints(jobs.map(\.drainedCount)), .ints(jobs.map(\.postedCount)),
        ]
    }
}

extension Job {
    /// Reads a row of `JobRow.columns`.
    init(_ row: Rows.Row) throws {
        guard let origin = JobOrigin(rawValue: row.text(2)), let state = JobState(rawValue: row.text(10)) else {
            throw StoreError.broken("job '\(row.text(0))' has origin '\(row.text(2))' and state '\(row.text(10))', which this version does not know")
        }
        let policy = JobPolicy(executionTimeout: row.int(3), timeToLive: row.int(4), lowPriority: row.bool(5), retention: row.int(6))
        self.init(
            id: JobID(row.text(0)), endpoint: EndpointID(row.text(1)), origin: origin, policy: policy, webhook: row.optionalText(7),
            prefix: PrefixBytes.hashes(row.bytes(8)), submittedAt: Timestamp(milliseconds: row.int(9)))
        self.state = state
        queuedAt = Timestamp(milliseconds: row.int(11))
        takenAt = row.optionalInt(12).map { Timestamp(milliseconds: $0) }
        finishedAt = row.optionalInt(13).map { Timestamp(milliseconds: $0) }
        expiresAt = Timestamp(milliseconds: row.int(14))
        worker = row.optionalText(15).map { WorkerID($0) }
        attempt = row.int(16)
        retries = row.int(17)
        lossReason = row.optionalText(18)
        chunkCount = row.int(19)
        drainedCount = row.int(20)
        postedCount = row.int(21)
    }
}
