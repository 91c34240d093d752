package import Jobs

extension SQLiteStore {
    package func trimLog(before time: Timestamp, keeping limit: Int) async throws(StoreError) {
        // The newest entry that goes because there are too many.
        let last = try await read { db in
            try Prepared(db, "SELECT finishedAt, seq FROM log ORDER BY finishedAt DESC, seq DESC LIMIT 1 OFFSET ?").first(.int(max(0, limit))) {
                ($0.int(0), $0.int(1))
            }
        }
        // A few at a time, so that other writes get in between.
        let step = 2000
        var count = step
        while count == step {
            count = try await write { batch in
                let count = try Prepared(
                    batch.db,
                    """
                    DELETE FROM log WHERE seq IN (
                        SELECT seq FROM log WHERE finishedAt < ?1 OR (finishedAt, seq) <= (?2, ?3) ORDER BY finishedAt, seq LIMIT ?4)
                    """
                ).run(.int(time.milliseconds), .int(last?.0 ?? .min), .int(last?.1 ?? .min), .int(step))
                if count > 0 { batch.markDeleted() }
                return count
            }
        }
    }

    // MARK: Webhooks

    package func dueWebhooks(at now: Timestamp, limit: Int, leaseMilliseconds: Int) async throws(StoreError) -> [WebhookDelivery] {
        let isDue = try await read { db in
            try Prepared(db, "SELECT 1 FROM webhooks WHERE due <= ? LIMIT 1").first(.int(now.milliseconds)) { _ in true } ?? false
        }
        guard isDue else { return [] }
        return try await write { batch in
            let due = try Prepared(batch.db, "SELECT job, url, tries FROM webhooks WHERE due <= ? ORDER BY due LIMIT ?")
                .all(.int(now.milliseconds), .int(max(0, limit))) {
                    WebhookDelivery(job: JobID($0.text(0)), url: $0.text(1), tries: $0.int(2))
                }
            for delivery in due {
                try Prepared(batch.db, "UPDATE webhooks SET due = ? WHERE job = ?")
                    .run(.int((now + leaseMilliseconds).milliseconds), .text(delivery.job.text))
            }
            return due
        }
    }

    package func settleWebhook(_ id: JobID, tries: Int, next: Timestamp?) async throws(StoreError) {
        try await write { batch in
            if let next {
                try Prepared(batch.db, "UPDATE webhooks SET tries = ?, due = ? WHERE job = ?")
                    .run(.int(tries), .int(next.milliseconds), .text(id.text))
            } else {
                try Prepared(batch.db, "DELETE FROM webhooks WHERE job = ?").run(.text(id.text))
            }
        }
    }

    // MARK: Workers

    package func save(_ worker: WorkerRecord) async throws(StoreError) {
        try await write { batch in
            try Prepared(
                batch.db,
                """
                INSERT OR REPLACE INTO workers
                (id, endpoint, handle, state, reason, secretHash, version, startedAt, readyAt, seenAt, stoppedAt, jobsDone)
                VALUES (?,?,?,?,?,?,?,?,?,?,?,?)
                """
            ).run(
                .text(worker.id.text), .text(worker.endpoint.text), .text(worker.handle), .text(worker.state.rawValue), .text(worker.reason),
                .blob(worker.secretHash), .text(worker.version), .int(worker.startedAt.milliseconds), .int(worker.readyAt?.milliseconds),
                .int(worker.seenAt?.milliseconds), .int(worker.stoppedAt?.milliseconds), .int(worker.jobsDone))
        }
    }

    package func workers() async throws(StoreError) -> [WorkerRecord] {
        try await read { db in
            try Prepared(
                db,
                """
                SELECT id, endpoint, handle, state, reason, secretHash, version, startedAt, readyAt, seenAt, stoppedAt, jobsDone
                FROM workers ORDER BY startedAt, id
                """
            ).all { row in
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
        try await write { batch in try Prepared(batch.db, "DELETE FROM workers WHERE id = ?").run(.text(id.text)) }
    }

    package func addWorkerTime(_ endpoint: EndpointID, milliseconds: Int) async throws(StoreError) {
        try await write { batch in batch.tally.add(milliseconds, .workerMilliseconds, endpoint) }
    }

    // MARK: Definitions and keys

    package func saveDefinition(_ id: EndpointID, json: [UInt8]) async throws(StoreError) {
        try await write(.synced, weight: json.count) { batch in
            try Prepared(batch.db, "INSERT OR REPLACE INTO definitions (id, json) VALUES (?, ?)").run(.text(id.text), .blob(json))
        }
    }

    package func definitions() async throws(StoreError) -> [(id: EndpointID, json: [UInt8])] {
        try await read { db in
            try Prepared(db, "SELECT id, json FROM definitions ORDER BY id").all { (EndpointID($0.text(0)), $0.bytes(1)) }
        }
    }

    package func removeDefinition(_ id: EndpointID) async throws(StoreError) {
        try await write(.synced) { batch in try Prepared(batch.db, "DELETE FROM definitions WHERE id = ?").run(.text(id.text)) }
    }

    package func saveKey(_ key: AccessKey) async throws(StoreError) {
        try await write(.synced) { batch in
            try Prepared(
                batch.db,
                "INSERT OR REPLACE INTO keys (name, role, hash, endpoints, requestsPer10Seconds, createdAt) VALUES (?,?,?,?,?,?)"
            ).run(
                .text(key.name), .text(key.role.rawValue), .blob(key.hash), .text(key.endpoints.map { $0.map(\.text).sorted().joined(separator: " ") }),
                .int(key.requestsPer10Seconds), .int(key.createdAt.milliseconds))
        }
    }

    package func keys() async throws(StoreError) -> [AccessKey] {
        try await read { db in
            try Prepared(db, "SELECT name, role, hash, endpoints, requestsPer10Seconds, createdAt FROM keys ORDER BY name").all { row in
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
        try await write(.synced) { batch in try Prepared(batch.db, "DELETE FROM keys WHERE name = ?").run(.text(name)) }
    }

    // MARK: Leadership

    package func lead(_ replica: String, at now: Timestamp, milliseconds: Int) async throws(StoreError) -> Bool {
        try await write { batch in
            try Prepared(
                batch.db,
                """
                INSERT INTO leader (one, replica, until) VALUES (1, ?1, ?2)
                ON CONFLICT DO UPDATE SET replica = ?1, until = ?2 WHERE replica = ?1 OR until <= ?3
                """
            ).run(.text(replica), .int((now + milliseconds).milliseconds), .int(now.milliseconds)) == 1
        }
    }
}
