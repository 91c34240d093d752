internal import JSON
internal import WorkerProtocol

/// What a job has to say to the gateway: a partial output, or how it ended.
struct PostEntry: Sendable {
    var serial: JobTable.Serial
    var job: String
    var attempt: Int
    var index: Int
    /// nil: the job's last entry.
    var partial: Partial?
    /// nil: the job goes back to the gateway.
    var result: [UInt8]?
    var isDiscarded = false
    /// The gateway did not take what it was.
    var isReplaced = false

    var byteCount: Int { partial?.byteCount ?? result?.count ?? 0 }

    /// As it is sent.
    var frame: ChunkFrame {
        guard let partial else { return ChunkFrame(job: job, attempt: attempt, index: 0, form: result == nil ? .back : .done, body: result ?? []) }
        var delta = JSONWriter(capacity: 64)
        partial.delta.write(into: &delta)
        let (form, body) = partial.frame
        return ChunkFrame(job: job, attempt: attempt, index: index, form: form, resume: delta.bytes, body: body)
    }
}
