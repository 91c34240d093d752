internal import GRDB
package import Jobs

extension SQLiteStore {
    package func submit(_ jobs: [NewJob], _ durability: Durability, placed: @escaping @Sendable () -> Void) async throws(StoreError) {
        for new in jobs {
            let byteCount = new.payload.input.count + (new.payload.extras?.count ?? 0)
            guard byteCount <= Self.largestValue else { throw .broken("job '\(new.job.id)': a payload of \(byteCount) bytes is too large") }
        }
        let weight = jobs.reduce(0) { $0 + $1.payload.input.count + ($1.payload.extras?.count ?? 0) }
        try await write(durability, weight: weight, placed: placed) { batch in
            for new in jobs { try batch.submit(new) }
        }
    }

    package func apply(_ steps: [JobStep], _ durability: Durability) async throws(StoreError) -> [JobVerdict] {
        let weight = steps.reduce(0) { $0 + $1.event.byteCount }
        guard weight <= Self.largestValue else { throw .broken("results of \(weight) bytes are too large") }
        return try await write(durability, weight: weight) { batch in
            try steps.map { try batch.apply($0) }
        }
    }

    package func purge(_ endpoint: EndpointID, at now: Timestamp) async throws(StoreError) -> [Job] {
        try await write(.synced) { batch in
            try batch.waiting(endpoint).compactMap { id in
                if case .applied(let job) = try batch.apply(JobStep(id, .cancel, at: now)) { job } else { nil }
            }
        }
    }

    package func expire(at now: Timestamp, limit: Int) async throws(StoreError) -> [Job] {
        // Nothing is due most times: found out without waking the writer.
        let isDue = try await read { db in
            try Prepared(db, "SELECT 1 FROM jobs WHERE expiresAt <= ? LIMIT 1").first(.int(now.milliseconds)) { _ in true } ?? false
        }
        guard isDue, limit > 0 else { return [] }
        return try await write { batch in try batch.expire(at: now, limit: limit) }
    }

    /// SQLite's own limit of a value is 1,000,000,000 bytes.
    private static var largestValue: Int { 900_000_000 }
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
