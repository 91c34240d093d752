internal import JSON
internal import Jobs

/// Jobs as clients read them (`/status` and the like).
enum JobStatus {
    /// Writes the members of a status object, without braces.
    static func members(_ job: Job, state: JobState? = nil, at now: Timestamp, into writer: inout JSONWriter) {
        let state = state ?? job.state
        writer.raw("\"delayTime\":")
        writer.int(job.delayTime(at: now))
        if state != .inQueue {
            writer.raw(",\"executionTime\":")
            writer.int(job.executionTime(at: now))
        }
        writer.raw(",\"id\":")
        writer.string(job.id.text)
        if job.retries > 0 {
            writer.raw(",\"retries\":")
            writer.int(job.retries)
        }
        writer.raw(",\"status\":\"")
        writer.raw(state.rawValue)
        writer.raw("\"")
        if state != .inQueue {
            writer.raw(",\"workerId\":")
            writer.string(job.worker?.text ?? "")
        }
    }

    static func write(_ job: Job, _ result: JobResult, note: String? = nil, at now: Timestamp, into writer: inout JSONWriter) {
        writer.raw("{")
        members(job, at: now, into: &writer)
        outcome(result, into: &writer)
        // Why it waits, for people: an extension.
        if let note, job.state == .inQueue {
            writer.raw(",\"reason\":")
            writer.string(note)
        }
        writer.raw("}")
    }

    static func outcome(_ result: JobResult, into writer: inout JSONWriter) {
        if let output = result.output {
            writer.raw(",\"output\":")
            writer.bytes.append(contentsOf: output)
        }
        if let error = result.error {
            writer.raw(",\"error\":")
            writer.string(error)
        }
    }

    /// The body of a webhook: the status with `input` and `webhook`.
    static func webhook(_ job: Job, _ result: JobResult, _ payload: JobPayload?, at now: Timestamp) -> [UInt8] {
        var writer = JSONWriter(capacity: 512)
        writer.raw("{")
        members(job, at: now, into: &writer)
        outcome(result, into: &writer)
        if let payload {
            writer.raw(",\"input\":")
            writer.bytes.append(contentsOf: payload.input)
        }
        if let webhook = job.webhook {
            writer.raw(",\"webhook\":")
            writer.string(webhook)
        }
        writer.raw("}")
        return writer.bytes
    }

    /// `{"id": …, "status": …}`.
    static func brief(_ id: JobID, _ state: JobState, into writer: inout JSONWriter) {
        writer.raw("{\"id\":")
        writer.string(id.text)
        writer.raw(",\"status\":\"")
        writer.raw(state.rawValue)
        writer.raw("\"}")
    }
}
