package import Jobs

extension PostgresStore {
    package func trimLog(before time: Timestamp, keeping limit: Int) async throws(StoreError) {
        // The newest entry that goes because there are too many.
        let last = try await read { connection in
            try connection.query("SELECT finished_at, seq FROM log ORDER BY finished_at DESC, seq DESC LIMIT 1 OFFSET $1::bigint", .int(max(0, limit)))
                .first { ($0.int(0), $0.int(1)) }
        }
        // A few at a time, so that other writes get in between.
        let step = 2000
        var count = step
        while count == step {
            count = try await write(isAlone: true) { transaction in
                try transaction.connection.query(
                    """
                    DELETE FROM log WHERE seq IN (
                        SELECT seq FROM log WHERE finished_at < $1::bigint OR (finished_at, seq) <= ($2::bigint, $3::bigint)
                        ORDER BY finished_at, seq LIMIT $4::bigint FOR UPDATE SKIP LOCKED)
                    """, .int(time.milliseconds), .int(last?.0 ?? .min), .int(last?.1 ?? .min), .int(step)
                ).affected
            }
        }
    }

    // MARK: Webhooks

    package func dueWebhooks(at now: Timestamp, limit: Int, leaseMilliseconds: Int) async throws(StoreError) -> [WebhookDelivery] {
        let isDue = try await read { try $0.query("SELECT 1::bigint FROM webhooks WHERE due <= $1::bigint LIMIT 1", .int(now.milliseconds)).count > 0 }
        guard isDue else { return [] }
        return try await write(isAlone: true) { transaction in
            try transaction.connection.query(
                """
                WITH due AS (SELECT job FROM webhooks WHERE due <= $1::bigint ORDER BY due LIMIT $2::bigint FOR UPDATE SKIP LOCKED)
                UPDATE webhooks SET due = $3::bigint FROM due WHERE webhooks.job = due.job RETURNING webhooks.job, url, tries
                """, .int(now.milliseconds), .int(max(0, limit)), .int((now + leaseMilliseconds).milliseconds)
            ).map { WebhookDelivery(job: JobID($0.text(0)), url: $0.text(1), tries: $0.int(2)) }
        }
    }

    package func settleWebhook(_ id: JobID, tries: Int, next: Timestamp?) async throws(StoreError) {
        try await write(isAlone: true) { transaction in
            if let next {
                _ = try transaction.connection.query(
                    "UPDATE webhooks SET tries = $2::bigint, due = $3::bigint WHERE job = $1::text", .text(id.text), .int(tries), .int(next.milliseconds))
            } else {
                _ = try transaction.connection.query("DELETE FROM webhooks WHERE job = $1::text", .text(id.text))
            }
        }
    }

    // MARK: Workers

    package func save(_ worker: WorkerRecord) async throws(StoreError) {
        try await write(isAlone: true) { transaction in
            _ = try transaction.connection.query(
                """
                INSERT INTO workers (id, endpoint, handle, state, reason, secret_hash, version, started_at, ready_at, seen_at, stopped_at, jobs_done)
                VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::bytea, $7::text, $8::bigint, $9::bigint, $10::bigint, $11::bigint,
                    $12::bigint)
                ON CONFLICT (id) DO UPDATE SET endpoint = excluded.endpoint, handle = excluded.handle, state = excluded.state,
                    reason = excluded.reason, secret_hash = excluded.secret_hash, version = excluded.version, started_at = excluded.started_at,
                    ready_at = excluded.ready_at, seen_at = excluded.seen_at, stopped_at = excluded.stopped_at, jobs_done = excluded.jobs_done
                """, .text(worker.id.text), .text(worker.endpoint.text), .text(worker.handle), .text(worker.state.rawValue), .text(worker.reason),
                .bytes(worker.secretHash), .text(worker.version), .int(worker.startedAt.milliseconds), .int(worker.readyAt?.milliseconds),
                .int(worker.seenAt?.milliseconds), .int(worker.stoppedAt?.milliseconds), .int(worker.jobsDone))
            transaction.note(.workers)
        }
    }

    package func workers() async throws(StoreError) -> [WorkerRecord] {
        try await read { connection in
            try connection.query(
                """
                SELECT id, endpoint, handle, state, reason, secret_hash, version, started_at, ready_at, seen_at, stopped_at, jobs_done
                FROM workers ORDER BY started_at, id
                """
            ).map { row in
                guard let state = WorkerState(rawValue: row.text(3)) else {
                    throw StoreError.broken("worker '\(row.text(0))' has state '\(row.text(3))', which this version does not know")
                }
                var worker = WorkerRecord(
                    id: WorkerID(row.text(0)), endpoint: EndpointID(row.text(1)), state: state, version: row.text(6),
                    startedAt: Timestamp(milliseconds: row.int(7)))
                worker.handle = row.optionalText(2)
                worker.reason = row.optionalText(4)
                worker.secretHash = row.optionalBytes(5)
                worker.readyAt = row.optionalInt(8).map { Timestamp(milliseconds: $0) }
                worker.seenAt = row.optionalInt(9).map { Timestamp(milliseconds: $0) }
                worker.stoppedAt = row.optionalInt(10).map { Timestamp(milliseconds: $0) }
                worker.jobsDone = row.int(11)
                return worker
            }
        }
    }

    package func removeWorker(_ id: WorkerID) async throws(StoreError) {
        try await write(isAlone: true) { transaction in
            _ = try transaction.connection.query("DELETE FROM workers WHERE id = $1::text", .text(id.text))
            transaction.note(.workers)
        }
    }

    package func addWorkerTime(_ endpoint: EndpointID, milliseconds: Int) async throws(StoreError) {
        try await write { $0.tally.add(milliseconds, .workerMilliseconds, endpoint) }
    }

    // MARK: Definitions and keys

    package func saveDefinition(_ id: EndpointID, json: [UInt8]) async throws(StoreError) {
        try await write(isAlone: true) { transaction in
            _ = try transaction.connection.query(
                "INSERT INTO definitions (id, json) VALUES ($1::text, $2::bytea) ON CONFLICT (id) DO UPDATE SET json = excluded.json",
                .text(id.text), .bytes(json))
            transaction.note(.definitions)
        }
    }

    package func definitions() async throws(StoreError) -> [(id: EndpointID, json: [UInt8])] {
        try await read { try $0.query("SELECT id, json FROM definitions ORDER BY id").map { (EndpointID($0.text(0)), $0.bytes(1)) } }
    }

    package func removeDefinition(_ id: EndpointID) async throws(StoreError) {
        try await write(isAlone: true) { transaction in
            _ = try transaction.connection.query("DELETE FROM definitions WHERE id = $1::text", .text(id.text))
            transaction.note(.definitions)
        }
    }

    package func saveKey(_ key: AccessKey) async throws(StoreError) {
        try await write(isAlone: true) { transaction in
            _ = try transaction.connection.query(
                """
                INSERT INTO keys (name, role, hash, endpoints, requests_per_10_seconds, created_at)
                VALUES ($1::text, $2::text, $3::bytea, $4::text, $5::bigint, $6::bigint)
                ON CONFLICT (name) DO UPDATE SET role = excluded.role, hash = excluded.hash, endpoints = excluded.endpoints,
                    requests_per_10_seconds = excluded.requests_per_10_seconds, created_at = excluded.created_at
                """, .text(key.name), .text(key.role.rawValue), .bytes(key.hash),
                .text(key.endpoints.map { $0.map(\.text).sorted().joined(separator: " ") }), .int(key.requestsPer10Seconds),
                .int(key.createdAt.milliseconds))
            transaction.note(.keys)
        }
    }

    package func keys() async throws(StoreError) -> [AccessKey] {
        try await read { connection in
            try connection.query("SELECT name, role, hash, endpoints, requests_per_10_seconds, created_at FROM keys ORDER BY name").map { row in
                guard let role = AccessKey.Role(rawValue: row.text(1)) else {
                    throw StoreError.broken("key '\(row.text(0))' has role '\(row.text(1))', which this version does not know")
                }
                return AccessKey(
                    name: row.text(0), role: role, hash: row.bytes(2),
                    endpoints: row.optionalText(3).map { Set($0.split(separator: " ").map { EndpointID(String($0)) }) },
                    requestsPer10Seconds: row.optionalInt(4), createdAt: Timestamp(milliseconds: row.int(5)))
            }
        }
    }

    package func removeKey(_ name: String) async throws(StoreError) {
        try await write(isAlone: true) { transaction in
            _ = try transaction.connection.query("DELETE FROM keys WHERE name = $1::text", .text(name))
            transaction.note(.keys)
        }
    }

    // MARK: Leadership

    package func lead(_ replica: String, at now: Timestamp, milliseconds: Int) async throws(StoreError) -> Bool {
        try await write(isAlone: true) { transaction in
            try transaction.connection.query(
                """
                INSERT INTO leader AS l (one, replica, until) VALUES (true, $1::text, $2::bigint)
                ON CONFLICT (one) DO UPDATE SET replica = excluded.replica, until = excluded.until WHERE l.replica = $1::text OR l.until <= $3::bigint
                """, .text(replica), .int((now + milliseconds).milliseconds), .int(now.milliseconds)
            ).affected == 1
        }
    }
}
