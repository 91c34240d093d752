internal import GRDB
package import Jobs

extension SQLiteStore {
    package func job(_ id: JobID) async throws(StoreError) -> Job? {
        try await read { db in try Self.stored(id, db)?.job }
    }

    private static func stored(_ id: JobID, _ db: Database) throws -> StoredJob? {
        try Prepared(db, "SELECT \(JobRow.columns) FROM jobs WHERE id = ?").first(.text(id.text)) { try StoredJob($0) }
    }

    package func record(_ id: JobID) async throws(StoreError) -> (job: Job, result: JobResult)? {
        try await read { db in
            guard let stored = try Self.stored(id, db) else { return nil }
            let result = try Prepared(db, "SELECT output, error FROM results WHERE job = ?").first(.int(stored.seq)) {
                JobResult(output: $0.optionalBytes(0), error: $0.optionalText(1))
            }
            return (stored.job, result ?? JobResult())
        }
    }

    package func payload(_ id: JobID) async throws(StoreError) -> JobPayload? {
        try await read { db in
            try Prepared(db, "SELECT input, extras FROM payloads JOIN jobs ON jobs.seq = payloads.job WHERE jobs.id = ?").first(.text(id.text)) {
                JobPayload(input: $0.bytes(0), extras: $0.optionalBytes(1))
            }
        }
    }

    package func chunks(_ id: JobID, from index: Int, limit: Int) async throws(StoreError) -> [JobChunk] {
        try await read { db in
            try Prepared(
                db,
                """
                SELECT place, form, body, resume FROM chunks WHERE job = (SELECT seq FROM jobs WHERE id = ?) AND place >= ? ORDER BY place LIMIT ?
                """
            ).all(.text(id.text), .int(index), .int(max(0, limit))) { row in
                guard let form = JobChunk.Form(rawValue: row.text(1)) else {
                    throw StoreError.broken("job '\(id)' has a chunk of form '\(row.text(1))', which this version does not know")
                }
                return JobChunk(index: row.int(0), form: form, body: row.bytes(2), resume: row.optionalBytes(3))
            }
        }
    }

    package func jobs(_ endpoint: EndpointID, in state: JobState, limit: Int) async throws(StoreError) -> [Job] {
        // One walk along the index for each priority, merged.
        let walk = "SELECT * FROM (SELECT \(JobRow.columns) FROM jobs WHERE endpoint = ?1 AND state = ?2 AND lowPriority = %"
            + " ORDER BY queuedAt, seq LIMIT ?3)"
        let sql = walk.split(separator: "%").joined(separator: "0") + " UNION ALL " + walk.split(separator: "%").joined(separator: "1")
            + " ORDER BY queuedAt, seq LIMIT ?3"
        return try await read { db in
            try Prepared(db, sql).all(.text(endpoint.text), .text(state.rawValue), .int(max(0, limit))) { try StoredJob($0).job }
        }
    }

    package func counts(_ endpoint: EndpointID) async throws(StoreError) -> JobCounts {
        try await read { db in
            var counts = JobCounts()
            let stored = try Prepared(db, "SELECT counter, value FROM counters WHERE endpoint = ?").all(.text(endpoint.text)) {
                ($0.int(0), $0.int(1))
            }
            for (number, value) in stored {
                if let counter = JobCounter(rawValue: number) { counts.add(value, counter) }
            }
            let oldest = try Prepared(db, "SELECT min(queuedAt) FROM jobs WHERE endpoint = ? AND state = ? AND lowPriority = 0")
                .first(.text(endpoint.text), .text(JobState.inQueue.rawValue)) { $0.optionalInt(0) }
            counts.oldestQueuedAt = (oldest ?? nil).map { Timestamp(milliseconds: $0) }
            return counts
        }
    }

    package func log(_ query: JobLogQuery) async throws(StoreError) -> [JobLogEntry] {
        try await read { db in
            var conditions: [String] = []
            var bindings: [Binding] = []
            if !query.endpoints.isEmpty {
                conditions.append("endpoint IN (\(query.endpoints.map { _ in "?" }.joined(separator: ",")))")
                bindings += query.endpoints.map { .text($0.text) }
            }
            if !query.states.isEmpty {
                conditions.append("state IN (\(query.states.map { _ in "?" }.joined(separator: ",")))")
                bindings += query.states.map { .text($0.rawValue) }
            }
            if let text = query.text, !text.isEmpty {
                conditions.append("instr(search, ?) > 0")
                bindings.append(.text(text.lowercased()))
            }
            if let before = query.before {
                conditions.append("finishedAt < ?")
                bindings.append(.int(before.milliseconds))
            }
            let filter = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
            let sql = """
                SELECT id, endpoint, origin, state, submittedAt, finishedAt, delayTime, executionTime, worker, retries, error
                FROM log \(filter) ORDER BY finishedAt DESC, seq DESC LIMIT ?
                """
            var entries: [JobLogEntry] = []
            try Prepared(db, sql).each(bindings + [.int(max(0, query.limit))]) { row in
                guard let origin = JobOrigin(rawValue: row.text(2)), let state = JobState(rawValue: row.text(3)) else { return }
                entries.append(
                    JobLogEntry(
                        id: JobID(row.text(0)), endpoint: EndpointID(row.text(1)), origin: origin, state: state,
                        submittedAt: Timestamp(milliseconds: row.int(4)), finishedAt: Timestamp(milliseconds: row.int(5)), delayTime: row.int(6),
                        executionTime: row.int(7), worker: row.optionalText(8).map { WorkerID($0) }, retries: row.int(9),
                        error: row.optionalText(10)))
            }
            return entries
        }
    }
}
