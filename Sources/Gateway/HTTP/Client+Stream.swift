internal import Hummingbird
internal import JSON
internal import Jobs
internal import NIOCore
internal import Synchronization

extension ClientRoutes {
    /// `/stream/{id}`: each chunk goes to one reader, whichever comes first. With `?after=N`, chunks from number N on, for any reader, as often as it asks
    /// (an extension): a reader that was cut off misses nothing.
    func stream(_ call: GatewayCall, _ id: JobID, _ endpoint: EndpointID) async throws(ClientError) -> Response {
        let wait = try call.clamped("wait", limits.waitRange, default: limits.streamHold)
        let deadline = NIODeadline.now() + .milliseconds(Int64(wait))
        var replayFrom: Int?
        if let text = call.parameter("after") {
            guard let index = Int(text), index >= 0 else { throw .bad("'after' must be the number of chunks that you have") }
            replayFrom = index
        }
        let watching = core.watch.open(id)
        while true {
            let job = try await job(id, endpoint)
            let start = replayFrom ?? job.drainedCount
            if start < job.chunkCount {
                let chunks: [JobChunk]
                do { chunks = try await self.chunks(id, from: start) } catch { throw ClientError(error) }
                if let last = chunks.last {
                    if replayFrom != nil { return answer(job, chunks, numbered: true, hasMore: last.index + 1 < job.chunkCount) }
                    let verdict: JobVerdict
                    do {
                        verdict = try await core.apply(id, .drain(from: start, through: last.index + 1), .committed)
                    } catch { throw ClientError(error) }
                    if case .applied(let drained) = verdict {
                        return answer(drained, chunks, numbered: false, hasMore: last.index + 1 < drained.chunkCount)
                    }
                    // Another reader was faster.
                    continue
                }
            }
            if job.state.isTerminal { return answer(job, [], numbered: replayFrom != nil, hasMore: false) }
            if core.isClosing.withLock({ $0 }) { return answer(job, [], numbered: replayFrom != nil, hasMore: true) }
            if await watching.box.take(until: deadline, on: call.eventLoop).isEmpty {
                return answer(try await self.job(id, endpoint), [], numbered: replayFrom != nil, hasMore: true)
            }
        }
    }

    static var chunksPerAnswer: Int { 1000 }
    /// Bytes of chunks after which an answer takes no more of them.
    static var bytesPerAnswer: Int { 16 << 20 }

    /// As many as an answer takes. Large chunks are read a few at a time.
    private func chunks(_ id: JobID, from start: Int) async throws(StoreError) -> [JobChunk] {
        var chunks: [JobChunk] = []
        var byteCount = 0
        while chunks.count < Self.chunksPerAnswer, byteCount < Self.bytesPerAnswer {
            let limit = chunks.isEmpty || byteCount > chunks.count << 12 ? 16 : 500
            let more = try await core.store.chunks(id, from: start + chunks.count, limit: limit)
            chunks += more
            byteCount += more.reduce(0) { $0 + $1.body.count }
            if more.count < limit { break }
        }
        return chunks
    }

    /// - hasMore: the job may not be called over, or clients would stop reading.
    private func answer(_ job: Job, _ chunks: [JobChunk], numbered: Bool, hasMore: Bool) -> Response {
        let state = job.state.isTerminal && hasMore ? .inProgress : job.state
        return Reply.json { writer in
            writer.raw("{")
            JobStatus.members(job, state: state, at: .now, into: &writer)
            writer.raw(",\"stream\":[")
            for (place, chunk) in chunks.enumerated() {
                if place > 0 { writer.raw(",") }
                writer.raw("{")
                if numbered {
                    writer.raw("\"index\":")
                    writer.int(chunk.index)
                    writer.raw(",")
                }
                writer.raw("\"output\":")
                chunk.write(into: &writer)
                writer.raw("}")
            }
            writer.raw("]}")
        }
    }
}

extension JobChunk {
    /// As JSON.
    func write(into writer: inout JSONWriter) {
        switch form {
        case .json: writer.bytes.append(contentsOf: body)
        case .text: writer.string(String(decoding: body, as: UTF8.self))
        }
    }
}
