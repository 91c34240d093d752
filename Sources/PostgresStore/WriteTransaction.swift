internal import Jobs

/// The writes of one transaction, gathered and carried out a table at a time: a batch of a hundred jobs takes as many statements as one.
final class WriteTransaction {
    let connection: Connection
    /// Which of a counter's rows this writer adds to.
    private let slot: Int
    /// Locked jobs as they are now.
    private var jobs: [JobID: Job] = [:]
    /// The same as they were stored.
    private var stored: [JobID: Job] = [:]
    /// Jobs that another transaction holds, as they were before it; nothing can be done to them here.
    private var held: [JobID: Job] = [:]
    private var changed: [JobID] = []
    private var results: [JobID: JobResult] = [:]
    private var dropped: Set<JobID> = []
    private var chunks: [(job: JobID, chunk: JobChunk)] = []
    private var ended: [JobLogEntry] = []
    /// Nil: the delivery is called off.
    private var webhooks: [JobID: (url: String, due: Timestamp)?] = [:]
    private var states: [JobID: StoreChange] = [:]
    private var others: [StoreChange] = []
    private var chunked: [JobID: StoreChange] = [:]
    var tally = CounterTally()

    init(_ connection: Connection, slot: Int) {
        self.connection = connection
        self.slot = slot
    }

    func note(_ change: StoreChange) { if !others.contains(change) { others.append(change) } }

    // MARK: Before the batch's parts run

    func insert(_ new: [NewJob]) throws {
        var seen: Set<JobID> = []
        let new = new.filter { seen.insert($0.job.id).inserted }
        guard !new.isEmpty else { return }
        let inserted = Set(try connection.query(JobRow.insert, JobRow.insertParameters(new.map(\.job))).map { $0.text(0) })
        let fresh = new.filter { inserted.contains($0.job.id.text) }
        guard !fresh.isEmpty else { return }
        _ = try connection.query(
            "INSERT INTO payloads (job, input, extras) SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[])",
            .texts(fresh.map(\.job.id.text)), .byteses(fresh.map(\.payload.input)), .byteses(fresh.map(\.payload.extras)))
        for job in fresh.map(\.job) {
            tally.note(nil, job)
            states[job.id] = .job(job.id, job.endpoint, job.state)
        }
    }

    /// Locks the jobs of all steps, in order of their ids, so that transactions wait for one another in one direction. Jobs that are only to be
    /// taken are not waited for: whoever holds one is taking it.
    func lock(_ steps: [JobStep]) throws {
        var waited: Set<JobID> = [], skipped: Set<JobID> = []
        for step in steps {
            if case .take = step.event { skipped.insert(step.job) } else { waited.insert(step.job) }
        }
        skipped.subtract(waited)
        try adopt(find(waited, "FOR UPDATE"))
        try adopt(find(skipped, "FOR UPDATE SKIP LOCKED"))
        let missing = skipped.filter { jobs[$0] == nil }
        for job in try find(missing, "") { held[job.id] = job }
    }

    private func find(_ ids: Set<JobID>, _ lock: String) throws -> [Job] {
        guard !ids.isEmpty else { return [] }
        return try connection.query("SELECT \(JobRow.columns) FROM jobs WHERE id = ANY($1::text[]) ORDER BY id \(lock)", .texts(ids.map(\.text)))
            .map { try Job($0) }
    }

    /// Takes in jobs that the transaction has locked.
    func adopt(_ locked: [Job]) {
        for job in locked {
            jobs[job.id] = job
            stored[job.id] = job
        }
    }

    // MARK: The batch's parts

    func apply(_ step: JobStep) -> JobVerdict {
        guard var job = jobs[step.job] else { return held[step.job].map { .refused($0) } ?? .unknown }
        let before = job
        switch JobMachine.apply(step.event, to: &job, at: step.at) {
        case .repeated: return .repeated(before)
        case .refused: return .refused(before)
        case .applied(let change):
            if let original = stored[job.id], original == before { changed.append(job.id) }
            jobs[job.id] = job
            tally.note(before, job)
            tally.note(change, of: job)
            gather(change, step.event, job)
            return .applied(job)
        }
    }

    private func gather(_ change: JobMachine.Change, _ event: JobEvent, _ job: Job) {
        if change.dropsChunksFrom != nil {
            dropped.insert(job.id)
            chunks.removeAll { $0.job == job.id }
        }
        for chunk in change.chunks { chunks.append((job.id, chunk)) }
        if let result = change.result { results[job.id] = result }
        if change.ended {
            let entry = JobLogEntry(job, error: change.result?.error)
            ended.append(entry)
            if let url = job.webhook { webhooks[job.id] = .some((url, entry.finishedAt)) }
        }
        switch event {
        case .append: chunked[job.id] = .chunks(job.id, job.endpoint)
        case .drain, .retain: break
        case .retry:
            webhooks[job.id] = .some(nil)
            states[job.id] = .job(job.id, job.endpoint, job.state)
        case .take, .progress, .finish, .cancel, .lose, .giveBack, .timeOut, .fail: states[job.id] = .job(job.id, job.endpoint, job.state)
        }
    }

    /// Removes locked jobs with all that belongs to them.
    func remove(_ gone: [Job]) throws {
        guard !gone.isEmpty else { return }
        let ids = Parameter.texts(gone.map(\.id.text))
        _ = try connection.query("DELETE FROM chunks WHERE job = ANY($1::text[])", ids)
        _ = try connection.query("DELETE FROM results WHERE job = ANY($1::text[])", ids)
        _ = try connection.query("DELETE FROM payloads WHERE job = ANY($1::text[])", ids)
        _ = try connection.query("DELETE FROM webhooks WHERE job = ANY($1::text[])", ids)
        _ = try connection.query("DELETE FROM jobs WHERE id = ANY($1::text[])", ids)
        for job in gone {
            tally.note(job, nil)
            states[job.id] = .job(job.id, job.endpoint, job.state)
        }
    }

    // MARK: After the batch's parts have run

    /// Writes what was gathered.
    /// - Parameter number: the transaction's own, by which its fate can be asked for later.
    func flush(replica: String, number: Int) throws {
        try writeJobs()
        try writeOutputs()
        try writeEnds()
        for (key, delta) in tally.sorted {
            _ = try connection.query(
                """
                INSERT INTO counters AS c (endpoint, counter, slot, value) VALUES ($1::text, $2::bigint, $3::bigint, $4::bigint)
                ON CONFLICT (endpoint, counter, slot) DO UPDATE SET value = c.value + excluded.value
                """, .text(key.endpoint.text), .int(key.counter.rawValue), .int(slot), .int(delta))
        }
        let payloads = Notice.payloads(others + states.values + chunked.values, from: replica)
        if !payloads.isEmpty {
            _ = try connection.query("SELECT pg_notify('needletail', payload) FROM unnest($1::text[]) AS payload", .texts(payloads))
        }
        _ = try connection.query(
            """
            INSERT INTO commits (writer, number, at) VALUES ($1::text, $2::bigint, now())
            ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = excluded.at
            """, .text(replica), .int(number))
    }

    private func writeJobs() throws {
        var seen: Set<JobID> = []
        let rows = changed.filter { seen.insert($0).inserted }.compactMap { jobs[$0] }
        if !rows.isEmpty { _ = try connection.query(JobRow.update, JobRow.updateParameters(rows)) }
    }

    private func writeOutputs() throws {
        let emptied = results.filter { $0.value.output == nil && $0.value.error == nil }.map(\.key.text)
        if !emptied.isEmpty { _ = try connection.query("DELETE FROM results WHERE job = ANY($1::text[])", .texts(emptied)) }
        let kept = results.filter { $0.value.output != nil || $0.value.error != nil }
        if !kept.isEmpty {
            _ = try connection.query(
                """
                INSERT INTO results (job, output, error) SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[])
                ON CONFLICT (job) DO UPDATE SET output = excluded.output, error = excluded.error
                """, .texts(kept.map(\.key.text)), .byteses(kept.map(\.value.output)), .texts(kept.map(\.value.error)))
        }
        if !dropped.isEmpty { _ = try connection.query("DELETE FROM chunks WHERE job = ANY($1::text[])", .texts(dropped.map(\.text))) }
        guard !chunks.isEmpty else { return }
        _ = try connection.query(
            """
            INSERT INTO chunks (job, place, form, body, resume)
            SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::bytea[])
            """, .texts(chunks.map(\.job.text)), .ints(chunks.map(\.chunk.index)), .texts(chunks.map(\.chunk.form.rawValue)),
            .byteses(chunks.map(\.chunk.body)), .byteses(chunks.map(\.chunk.resume)))
    }

    private func writeEnds() throws {
        if !ended.isEmpty {
            _ = try connection.query(
                """
                INSERT INTO log (id, endpoint, origin, state, submitted_at, finished_at, delay_time, execution_time, worker, retries, error, search)
                SELECT * FROM unnest(
                    $1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[],
                    $10::bigint[], $11::text[], $12::text[])
                """, .texts(ended.map(\.id.text)), .texts(ended.map(\.endpoint.text)), .texts(ended.map(\.origin.rawValue)),
                .texts(ended.map(\.state.rawValue)), .ints(ended.map(\.submittedAt.milliseconds)), .ints(ended.map(\.finishedAt.milliseconds)),
                .ints(ended.map(\.delayTime)), .ints(ended.map(\.executionTime)), .texts(ended.map(\.worker?.text)), .ints(ended.map(\.retries)),
                .texts(ended.map(\.error)), .texts(ended.map(\.searchText)))
        }
        let calledOff = webhooks.filter { $0.value == nil }.map(\.key.text)
        if !calledOff.isEmpty { _ = try connection.query("DELETE FROM webhooks WHERE job = ANY($1::text[])", .texts(calledOff)) }
        let due = webhooks.compactMap { id, delivery in delivery.map { (id, $0.url, $0.due) } }
        guard !due.isEmpty else { return }
        _ = try connection.query(
            """
            INSERT INTO webhooks (job, url, tries, due) SELECT job, url, 0, due FROM unnest($1::text[], $2::text[], $3::bigint[]) AS n (job, url, due)
            ON CONFLICT (job) DO UPDATE SET url = excluded.url, tries = 0, due = excluded.due
            """, .texts(due.map(\.0.text)), .texts(due.map(\.1)), .ints(due.map(\.2.milliseconds)))
    }
}
