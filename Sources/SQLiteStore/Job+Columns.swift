internal import Jobs

/// How a job lies in its row.
enum JobRow {
    static let columns = """
        seq, id, endpoint, origin, executionTimeout, timeToLive, lowPriority, retention, webhook, prefix, submittedAt, \
        state, queuedAt, takenAt, finishedAt, expiresAt, worker, attempt, retries, lossReason, chunkCount, drainedCount, postedCount
        """
    static let insert = "INSERT INTO jobs (\(columns)) VALUES (NULL, ?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING"
    /// Everything that can change.
    static let update = """
        UPDATE jobs SET retention = ?, state = ?, queuedAt = ?, takenAt = ?, finishedAt = ?, expiresAt = ?, worker = ?, attempt = ?, retries = ?, \
        lossReason = ?, chunkCount = ?, drainedCount = ?, postedCount = ? WHERE seq = ?
        """
    /// Without the columns of the expiry index.
    static let updateQueue = """
        UPDATE jobs SET retention = ?, state = ?, queuedAt = ?, takenAt = ?, finishedAt = ?, worker = ?, attempt = ?, retries = ?, \
        lossReason = ?, chunkCount = ?, drainedCount = ?, postedCount = ? WHERE seq = ?
        """
    /// Columns of no index: most updates of a job that streams.
    static let updateCounts = "UPDATE jobs SET chunkCount = ?, drainedCount = ?, postedCount = ? WHERE seq = ?"
}

/// A job and the number of its row.
struct StoredJob {
    let seq: Int
    var job: Job

    init(seq: Int, job: Job) {
        self.seq = seq
        self.job = job
    }

    init(_ row: Columns) throws {
        seq = row.int(0)
        guard let origin = JobOrigin(rawValue: row.text(3)), let state = JobState(rawValue: row.text(11)) else {
            throw StoreError.broken("job '\(row.text(1))' has origin '\(row.text(3))' and state '\(row.text(11))', which this version does not know")
        }
        let policy = JobPolicy(executionTimeout: row.int(4), timeToLive: row.int(5), lowPriority: row.bool(6), retention: row.int(7))
        job = Job(
            id: JobID(row.text(1)), endpoint: EndpointID(row.text(2)), origin: origin, policy: policy, webhook: row.optionalText(8),
            prefix: PrefixBytes.hashes(row.bytes(9)), submittedAt: Timestamp(milliseconds: row.int(10)))
        job.state = state
        job.queuedAt = Timestamp(milliseconds: row.int(12))
        job.takenAt = row.optionalInt(13).map { Timestamp(milliseconds: $0) }
        job.finishedAt = row.optionalInt(14).map { Timestamp(milliseconds: $0) }
        job.expiresAt = Timestamp(milliseconds: row.int(15))
        job.worker = row.optionalText(16).map { WorkerID($0) }
        job.attempt = row.int(17)
        job.retries = row.int(18)
        job.lossReason = row.optionalText(19)
        job.chunkCount = row.int(20)
        job.drainedCount = row.int(21)
        job.postedCount = row.int(22)
    }
}

extension Job {
    func insert(_ statement: Prepared) throws -> Bool {
        try statement.run(
            .text(id.text), .text(endpoint.text), .text(origin.rawValue), .int(policy.executionTimeout), .int(policy.timeToLive),
            .bool(policy.lowPriority), .int(policy.retention), .text(webhook), .blob(PrefixBytes.bytes(prefix)), .int(submittedAt.milliseconds),
            .text(state.rawValue), .int(queuedAt.milliseconds), .int(takenAt?.milliseconds), .int(finishedAt?.milliseconds),
            .int(expiresAt.milliseconds), .text(worker?.text), .int(attempt), .int(retries), .text(lossReason), .int(chunkCount),
            .int(drainedCount), .int(postedCount)) == 1
    }

    func update(_ statement: Prepared, _ seq: Int) throws {
        try statement.run(
            .int(policy.retention), .text(state.rawValue), .int(queuedAt.milliseconds), .int(takenAt?.milliseconds),
            .int(finishedAt?.milliseconds), .int(expiresAt.milliseconds), .text(worker?.text), .int(attempt), .int(retries), .text(lossReason),
            .int(chunkCount), .int(drainedCount), .int(postedCount), .int(seq))
    }

    func updateQueue(_ statement: Prepared, _ seq: Int) throws {
        try statement.run(
            .int(policy.retention), .text(state.rawValue), .int(queuedAt.milliseconds), .int(takenAt?.milliseconds),
            .int(finishedAt?.milliseconds), .text(worker?.text), .int(attempt), .int(retries), .text(lossReason),
            .int(chunkCount), .int(drainedCount), .int(postedCount), .int(seq))
    }

    func updateCounts(_ statement: Prepared, _ seq: Int) throws {
        try statement.run(.int(chunkCount), .int(drainedCount), .int(postedCount), .int(seq))
    }

    /// Whether the two differ in chunk counts at most.
    func differsInCountsOnly(from other: Job) -> Bool {
        var copy = other
        copy.chunkCount = chunkCount
        copy.drainedCount = drainedCount
        copy.postedCount = postedCount
        return copy == self
    }
}
