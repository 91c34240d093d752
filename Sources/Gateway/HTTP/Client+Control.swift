internal import Hummingbird
internal import JSON
internal import Jobs

/// `/cancel`, `/retry`, `/purge-queue`, `/health`, `/requests`, `/metrics` of an endpoint.
extension ClientRoutes {
    func cancel(_ id: JobID, _ endpoint: EndpointID) async throws(ClientError) -> Response {
        _ = try await job(id, endpoint)
        let verdict: JobVerdict
        do { verdict = try await core.apply(id, .cancel, .synced) } catch { throw ClientError(error) }
        guard let job = verdict.job else { throw .noJob }
        // One that was over before keeps the state it has.
        return Reply.json { writer in
            writer.raw("{")
            JobStatus.members(job, at: .now, into: &writer)
            writer.raw("}")
        }
    }

    func retry(_ id: JobID, _ endpoint: EndpointID) async throws(ClientError) -> Response {
        let job = try await job(id, endpoint)
        guard job.state.isRetryable else {
            throw .bad("only FAILED and TIMED_OUT jobs can be retried; this one is \(job.state.rawValue)")
        }
        let verdict: JobVerdict
        do { verdict = try await core.apply(id, .retry, .synced) } catch { throw ClientError(error) }
        guard verdict.isApplied else { throw .bad("the job cannot be retried; it is \(verdict.job?.state.rawValue ?? "gone")") }
        core.signals.demand.put(endpoint)
        return Reply.json { JobStatus.brief(id, .inQueue, into: &$0) }
    }

    func purge(_ endpoint: EndpointID) async throws(ClientError) -> Response {
        let purged: [Job]
        let now = Timestamp.now
        do { purged = try await core.store.purge(endpoint, at: now) } catch { throw ClientError(error) }
        for job in purged { core.settle(.cancel, .applied(job), at: now) }
        return Reply.json { writer in
            writer.raw("{\"removed\":")
            writer.int(purged.count)
            writer.raw(",\"status\":\"completed\"}")
        }
    }

    func health(_ endpoint: EndpointDefinition) async throws(ClientError) -> Response {
        let counts: JobCounts
        do { counts = try await core.store.counts(endpoint.id) } catch { throw ClientError(error) }
        let workers = core.workerCounts(endpoint.id)
        return Reply.json { writer in
            writer.raw("{\"jobs\":{")
            Self.figures(
                [
                    ("completed", counts.completed), ("failed", counts.failed + counts.timedOut), ("inProgress", counts.inProgress),
                    ("inQueue", counts.inQueue), ("retried", counts.retried),
                ], into: &writer)
            writer.raw("},\"workers\":{")
            Self.figures(workers.named, into: &writer)
            writer.raw("}")
            if let note = core.endpoints.note(endpoint.id) {
                writer.raw(",\"reason\":")
                writer.string(note)
            }
            writer.raw("}")
        }
    }

    func metrics(_ endpoint: EndpointDefinition) -> Response {
        let workers = core.workerCounts(endpoint.id)
        return Reply.json { writer in
            writer.raw("{\"readyWorkers\":[")
            let ready = core.dispatcher.seats(endpoint.id).filter { $0.record.state == .idle || $0.record.state == .running }
            for (place, seat) in ready.sorted(by: { $0.record.id < $1.record.id }).enumerated() {
                if place > 0 { writer.raw(",") }
                writer.string(seat.record.id.text)
            }
            writer.raw("],\"workers\":{")
            Self.figures(workers.named, into: &writer)
            writer.raw("}}")
        }
    }

    /// `/requests`: jobs that wait or run, then those that ended last. The original's shape is not published.
    func requests(_ call: GatewayCall, _ endpoint: EndpointID) async throws(ClientError) -> Response {
        let limit = try call.clamped("limit", 1...1000, default: 100)
        var live: [Job] = []
        var query = JobLogQuery()
        query.endpoints = [endpoint]
        query.limit = limit
        let ended: [JobLogEntry]
        do {
            live += try await core.store.jobs(endpoint, in: .inProgress, limit: limit)
            live += try await core.store.jobs(endpoint, in: .inQueue, limit: limit)
            ended = try await core.store.log(query)
        } catch { throw ClientError(error) }
        return Reply.json { writer in
            writer.raw("{\"requests\":[")
            var isFirst = true
            for job in live.prefix(limit) {
                if !isFirst { writer.raw(",") }
                isFirst = false
                writer.raw("{")
                JobStatus.members(job, at: .now, into: &writer)
                writer.raw("}")
            }
            for entry in ended.prefix(max(0, limit - live.count)) {
                if !isFirst { writer.raw(",") }
                isFirst = false
                entry.write(into: &writer)
            }
            writer.raw("]}")
        }
    }

    private static func figures(_ figures: [(name: String, value: Int)], into writer: inout JSONWriter) {
        for (place, figure) in figures.enumerated() {
            if place > 0 { writer.raw(",") }
            writer.string(figure.name)
            writer.raw(":")
            writer.int(figure.value)
        }
    }
}

extension JobLogEntry {
    func write(into writer: inout JSONWriter) {
        writer.raw("{\"id\":")
        writer.string(id.text)
        writer.raw(",\"endpoint\":")
        writer.string(endpoint.text)
        writer.raw(",\"origin\":\"")
        writer.raw(origin.rawValue)
        writer.raw("\",\"status\":\"")
        writer.raw(state.rawValue)
        writer.raw("\",\"submittedAt\":")
        writer.int(submittedAt.milliseconds)
        writer.raw(",\"finishedAt\":")
        writer.int(finishedAt.milliseconds)
        writer.raw(",\"delayTime\":")
        writer.int(delayTime)
        writer.raw(",\"executionTime\":")
        writer.int(executionTime)
        writer.raw(",\"retries\":")
        writer.int(retries)
        writer.raw(",\"workerId\":")
        writer.string(worker?.text ?? "")
        if let error {
            writer.raw(",\"error\":")
            writer.string(error)
        }
        writer.raw("}")
    }
}
