internal import GRDB
internal import Jobs

/// Jobs that the writer has seen lately. It is the only one that changes them (the file is locked), so what it remembers is what is stored.
final class JobCache {
    private(set) var jobs: [JobID: StoredJob] = [:]
    private let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    subscript(id: JobID) -> StoredJob? {
        get { jobs[id] }
        set {
            if newValue != nil, jobs.count >= capacity, jobs[id] == nil { jobs.removeAll(keepingCapacity: true) }
            jobs[id] = newValue
        }
    }

    func removeAll() { jobs.removeAll() }
}

/// The writes of one transaction. Job rows and counters are written once, at the end, however often they change.
final class WriteBatch {
    let db: Database
    private let cache: JobCache
    /// Changed jobs as they were stored; as they are now is in `cache`.
    private var changed: [JobID: StoredJob] = [:]
    private var fresh: [JobID: StoredJob] = [:]
    var tally = CounterTally()
    /// Whether rows were deleted, so that the file may have pages to give back.
    private(set) var hasDeleted = false

    init(_ db: Database, _ cache: JobCache) {
        self.db = db
        self.cache = cache
    }

    private func load(_ id: JobID) throws -> StoredJob? {
        if let known = fresh[id] ?? cache[id] { return known }
        let found = try Prepared(db, "SELECT \(JobRow.columns) FROM jobs WHERE id = ?").first(.text(id.text)) { try StoredJob($0) }
        if let found { cache[id] = found }
        return found
    }

    func submit(_ new: NewJob) throws {
        guard try new.job.insert(Prepared(db, JobRow.insert)) else { return }
        let seq = Int(db.lastInsertedRowID)
        try Prepared(db, "INSERT INTO payloads (job, input, extras) VALUES (?, ?, ?)")
            .run(.int(seq), .blob(new.payload.input), .blob(new.payload.extras))
        tally.note(nil, new.job)
        cache[new.job.id] = StoredJob(seq: seq, job: new.job)
    }

    func apply(_ step: JobStep) throws -> JobVerdict {
        guard let stored = try load(step.job) else { return .unknown }
        var job = stored.job
        switch JobMachine.apply(step.event, to: &job, at: step.at) {
        case .repeated: return .repeated(stored.job)
        case .refused: return .refused(stored.job)
        case .applied(let change):
            if changed[job.id] == nil { changed[job.id] = stored }
            fresh[job.id] = StoredJob(seq: stored.seq, job: job)
            tally.note(stored.job, job)
            tally.note(change, of: job)
            try write(change, of: job, stored.seq)
            if step.event == .retry { try Prepared(db, "DELETE FROM webhooks WHERE job = ?").run(.text(job.id.text)) }
            return .applied(job)
        }
    }

    private func write(_ change: JobMachine.Change, of job: Job, _ seq: Int) throws {
        if let first = change.dropsChunksFrom {
            try Prepared(db, "DELETE FROM chunks WHERE job = ? AND place >= ?").run(.int(seq), .int(first))
            hasDeleted = true
        }
        if let result = change.result {
            if result.output == nil, result.error == nil {
                try Prepared(db, "DELETE FROM results WHERE job = ?").run(.int(seq))
            } else {
                try Prepared(db, "INSERT OR REPLACE INTO results (job, output, error) VALUES (?, ?, ?)")
                    .run(.int(seq), .blob(result.output), .text(result.error))
            }
        }
        for chunk in change.chunks {
            try Prepared(db, "INSERT INTO chunks (job, place, form, body, resume) VALUES (?, ?, ?, ?, ?)")
                .run(.int(seq), .int(chunk.index), .text(chunk.form.rawValue), .blob(chunk.body), .blob(chunk.resume))
        }
        guard change.ended else { return }
        let entry = JobLogEntry(job, error: change.result?.error)
        try Prepared(
            db,
            """
            INSERT INTO log (id, endpoint, origin, state, submittedAt, finishedAt, delayTime, executionTime, worker, retries, error, search)
            VALUES (?,?,?,?,?,?,?,?,?,?,?,?)
            """
        ).run(
            .text(entry.id.text), .text(entry.endpoint.text), .text(entry.origin.rawValue), .text(entry.state.rawValue),
            .int(entry.submittedAt.milliseconds), .int(entry.finishedAt.milliseconds), .int(entry.delayTime), .int(entry.executionTime),
            .text(entry.worker?.text), .int(entry.retries), .text(entry.error), .text(entry.searchText))
        if let url = job.webhook {
            try Prepared(db, "INSERT OR REPLACE INTO webhooks (job, url, tries, due) VALUES (?, ?, 0, ?)")
                .run(.text(job.id.text), .text(url), .int(entry.finishedAt.milliseconds))
        }
    }

    /// All jobs of an endpoint that wait.
    func waiting(_ endpoint: EndpointID) throws -> [JobID] {
        try flush()
        return try Prepared(db, "SELECT id FROM jobs WHERE endpoint = ? AND state = ? ORDER BY lowPriority, queuedAt, seq")
            .all(.text(endpoint.text), .text(JobState.inQueue.rawValue)) { JobID($0.text(0)) }
    }

    func expire(at now: Timestamp, limit: Int) throws -> [Job] {
        try flush()
        let over = try Prepared(db, "SELECT \(JobRow.columns) FROM jobs WHERE expiresAt <= ? ORDER BY expiresAt LIMIT ?")
            .all(.int(now.milliseconds), .int(limit)) { try StoredJob($0) }
        for stored in over {
            // Payload, result and chunks go with it.
            try Prepared(db, "DELETE FROM jobs WHERE seq = ?").run(.int(stored.seq))
            try Prepared(db, "DELETE FROM webhooks WHERE job = ?").run(.text(stored.job.id.text))
            tally.note(stored.job, nil)
            cache[stored.job.id] = nil
            hasDeleted = true
        }
        return over.map(\.job)
    }

    /// Writes what was put off. Called before the commit, and before jobs are looked for by anything but their id.
    func flush() throws {
        for (id, before) in changed {
            guard let after = fresh[id], after.job != before.job else { continue }
            if after.job.differsInCountsOnly(from: before.job) {
                try after.job.updateCounts(Prepared(db, JobRow.updateCounts), after.seq)
            } else if after.job.expiresAt == before.job.expiresAt {
                try after.job.updateQueue(Prepared(db, JobRow.updateQueue), after.seq)
            } else {
                try after.job.update(Prepared(db, JobRow.update), after.seq)
            }
            cache[id] = after
        }
        changed.removeAll()
        fresh.removeAll()
        for (key, delta) in tally.sorted {
            try Prepared(
                db,
                "INSERT INTO counters (endpoint, counter, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value"
            ).run(.text(key.endpoint.text), .int(key.counter.rawValue), .int(delta))
        }
        tally = CounterTally()
    }

    func markDeleted() { hasDeleted = true }
}
