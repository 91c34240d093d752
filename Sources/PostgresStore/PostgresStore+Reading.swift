package import Jobs

extension PostgresStore {
    package func job(_ id: JobID) async throws(StoreError) -> Job? {
        try await read { try $0.query("SELECT \(JobRow.columns) FROM jobs WHERE id = $1::text", .text(id.text)).first { try Job($0) } }
    }

    package func record(_ id: JobID) async throws(StoreError) -> (job: Job, result: JobResult)? {
        try await read { connection in
            try connection.query(
                "SELECT \(JobRow.columns), output, error FROM jobs LEFT JOIN results ON results.job = jobs.id WHERE id = $1::text", .text(id.text)
            ).first { (try Job($0), JobResult(output: $0.optionalBytes(22), error: $0.optionalText(23))) }
        }
    }

    package func payload(_ id: JobID) async throws(StoreError) -> JobPayload? {
        try await read { connection in
            try connection.query("SELECT input, extras FROM payloads WHERE job = $1::text", .text(id.text)).first {
                JobPayload(input: $0.bytes(0), extras: $0.optionalBytes(1))
            }
        }
    }

    package func chunks(_ id: JobID, from index: Int, limit: Int) async throws(StoreError) -> [JobChunk] {
        try await read { connection in
            try connection.query(
                "SELECT place, form, body, resume FROM chunks WHERE job = $1::text AND place >= $2::bigint ORDER BY place LIMIT $3::bigint",
                .text(id.text), .int(index), .int(max(0, limit))
            ).map { row in
                guard let form = JobChunk.Form(rawValue: row.text(1)) else {
                    throw StoreError.broken("job '\(id)' has a chunk of form '\(row.text(1))', which this version does not know")
                }
                return JobChunk(index: row.int(0), form: form, body: row.bytes(2), resume: row.optionalBytes(3))
            }
        }
    }

    package func jobs(_ endpoint: EndpointID, in state: JobState, limit: Int) async throws(StoreError) -> [Job] {
        // One walk along the index for each priority, merged.
        let walks = ["false", "true"].map {
            """
            (SELECT \(JobRow.columns), seq FROM jobs WHERE endpoint = $1::text AND state = $2::text AND low_priority = \($0) \
            ORDER BY queued_at, seq LIMIT $3::bigint)
            """
        }
        let sql = walks.joined(separator: " UNION ALL ") + " ORDER BY queued_at, seq LIMIT $3::bigint"
        return try await read { connection in
            try connection.query(sql, .text(endpoint.text), .text(state.rawValue), .int(max(0, limit))).map { try Job($0) }
        }
    }

    package func counts(_ endpoint: EndpointID) async throws(StoreError) -> JobCounts {
        try await read { connection in
            var counts = JobCounts()
            // -1: the time of the oldest waiting job, from the same snapshot as the counters.
            let rows = try connection.query(
                """
                SELECT counter, sum(value)::bigint FROM counters WHERE endpoint = $1::text GROUP BY counter
                UNION ALL SELECT -1, (SELECT min(queued_at) FROM jobs WHERE endpoint = $1::text AND state = $2::text AND NOT low_priority)
                """, .text(endpoint.text), .text(JobState.inQueue.rawValue)
            ).map { ($0.int(0), $0.optionalInt(1)) }
            for (number, value) in rows {
                if number == -1 {
                    counts.oldestQueuedAt = value.map { Timestamp(milliseconds: $0) }
                } else if let counter = JobCounter(rawValue: number) {
                    counts.add(value ?? 0, counter)
                }
            }
            return counts
        }
    }

    package func log(_ query: JobLogQuery) async throws(StoreError) -> [JobLogEntry] {
        try await read { connection in
            try connection.query(
                """
                SELECT id, endpoint, origin, state, submitted_at, finished_at, delay_time, execution_time, worker, retries, error FROM log
                WHERE (cardinality($1::text[]) = 0 OR endpoint = ANY($1::text[])) AND (cardinality($2::text[]) = 0 OR state = ANY($2::text[]))
                    AND ($3::text IS NULL OR position($3::text IN search) > 0) AND finished_at < $4::bigint
                ORDER BY finished_at DESC, seq DESC LIMIT $5::bigint
                """, .texts(query.endpoints.map(\.text)), .texts(query.states.map(\.rawValue)), .text(query.text?.lowercased()),
                .int(query.before?.milliseconds ?? .max), .int(max(0, query.limit))
            ).map { row in
                guard let origin = JobOrigin(rawValue: row.text(2)), let state = JobState(rawValue: row.text(3)) else {
                    throw StoreError.broken("the log has a job in state '\(row.text(3))', which this version does not know")
                }
                return JobLogEntry(
                    id: JobID(row.text(0)), endpoint: EndpointID(row.text(1)), origin: origin, state: state,
                    submittedAt: Timestamp(milliseconds: row.int(4)), finishedAt: Timestamp(milliseconds: row.int(5)), delayTime: row.int(6),
                    executionTime: row.int(7), worker: row.optionalText(8).map { WorkerID($0) }, retries: row.int(9), error: row.optionalText(10))
            }
        }
    }
}
