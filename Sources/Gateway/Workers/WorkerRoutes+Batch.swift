internal import Hummingbird
internal import JSON
internal import Jobs
internal import Web
internal import WorkerProtocol

/// What our own worker posts for all its jobs at once.
extension WorkerRoutes {
    /// Chunks and results of all jobs of our own worker since its last post (`ChunkBatch`).
    func streamBatch(_ call: WorkerCall) async throws(ClientError) -> Response {
        let body = try await call.call.body(limit: 256 << 20, tooLarge: ClientError(status: 413, message: "the batch is too large"))
        let frames: [ChunkFrame]
        do { frames = try ChunkBatch.frames(body) } catch { throw .bad("\(error)") }
        let gone = try await take(frames, call)
        return Reply.json { writer in
            writer.raw("{\"gone\":[")
            for (place, id) in gone.enumerated() {
                if place > 0 { writer.raw(",") }
                writer.string(id)
            }
            writer.raw("]}")
        }
    }

    /// - Returns: jobs that the worker no longer has.
    func take(_ frames: [ChunkFrame], _ call: WorkerCall) async throws(ClientError) -> [String] {
        core.sawLife(call.worker)
        // First what clients are waiting for, then what has to be written down.
        var arrivals = ChunkArrivals()
        var gone: [String] = []
        var steps: [JobStep] = []
        var ends: [JobStep] = []
        var durability = Durability.committed
        let now = Timestamp.now
        for frame in frames {
            let id = JobID(frame.job)
            switch frame.form {
            case .done:
                if case .result(let outcome, let stopsWorker) = WorkerPost(frame.body, maxByteCount: call.endpoint.maxResultByteCount) {
                    ends.append(JobStep(id, .finish(worker: call.worker, attempt: frame.attempt, outcome), at: now))
                    if !core.relays.has(id) {
                        durability = .synced
                        if let chunk = Self.wholeReply(outcome) { Self.add(chunk, id, call.worker, frame.attempt, now, to: &steps) }
                    }
                    if stopsWorker { core.drain(call.worker, "it asked to be replaced") }
                }
            case .back: ends.append(JobStep(id, .giveBack(worker: call.worker, attempt: frame.attempt), at: now))
            case .json, .text:
                let chunk = JobChunk(index: frame.index, form: frame.form == .text ? .text : .json, body: frame.body, resume: frame.resume)
                // Where several gateways share the store it comes first: a client must not see what another gateway could not go on from.
                let answer =
                    core.store.isShared ? .elsewhere : core.relays.take(id, call.worker, attempt: frame.attempt, [chunk], isPlaced: true)
                switch answer {
                case .fenced: gone.append(frame.job)
                case .taken(let fresh, let firstFrom): relayed(fresh, firstFrom, id, &arrivals)
                case .elsewhere: Self.add(chunk, id, call.worker, frame.attempt, now, to: &steps)
                }
            }
        }
        if !steps.isEmpty { gone += try await settle(steps, .committed, call.worker, &arrivals) }
        core.signals.chunks(arrivals, of: call.endpoint.id)
        for place in ends.indices { try await aggregate(&ends[place], call.endpoint) }
        if !ends.isEmpty { gone += try await settle(ends, durability, call.worker, &arrivals) }
        return gone
    }

    /// A reply in one piece is what `/stream` gives, too. Passed over where the job has chunks.
    private static func wholeReply(_ outcome: JobOutcome) -> JobChunk? {
        guard case .completed(let output?) = outcome, output.count > 2, let list = try? JSONValue(parsing: output).array, list.count == 1 else { return nil }
        return JobChunk(index: 0, form: .json, body: Array(list[0].text.utf8))
    }

    /// The output of a job that was streamed is the list of its chunks, those of former workers among them, which only the store has all.
    private func aggregate(_ step: inout JobStep, _ endpoint: EndpointDefinition) async throws(ClientError) {
        guard case .finish(let worker, let attempt, .completed(let output?)) = step.event, output == Array("[]".utf8), !core.relays.has(step.job) else { return }
        var writer = JSONWriter()
        writer.raw("[")
        var next = 0
        do {
            while true {
                let chunks = try await core.store.chunks(step.job, from: next, limit: 1000)
                for chunk in chunks where writer.bytes.count <= endpoint.maxResultByteCount {
                    if writer.bytes.count > 1 { writer.raw(",") }
                    chunk.write(into: &writer)
                }
                guard let last = chunks.last, writer.bytes.count <= endpoint.maxResultByteCount else { break }
                next = last.index + 1
            }
        } catch { throw ClientError(error) }
        writer.raw("]")
        let outcome: JobOutcome =
            writer.bytes.count <= endpoint.maxResultByteCount
            ? .completed(output: writer.bytes)
            : .failed(error: "the result has more than the \(endpoint.maxResultByteCount) bytes that are kept (maxResultBytes); read it from /stream", output: nil)
        step.event = .finish(worker: worker, attempt: attempt, outcome)
    }

    /// Chunks of one job that follow each other make one step.
    private static func add(_ chunk: JobChunk, _ id: JobID, _ worker: WorkerID, _ attempt: Int, _ now: Timestamp, to steps: inout [JobStep]) {
        if let last = steps.last, last.job == id, case .append(let sameWorker, let sameAttempt, var chunks, true) = last.event, sameAttempt == attempt {
            chunks.append(chunk)
            steps[steps.count - 1].event = .append(worker: sameWorker, attempt: sameAttempt, chunks: chunks, isPlaced: true)
        } else {
            steps.append(JobStep(id, .append(worker: worker, attempt: attempt, chunks: [chunk], isPlaced: true), at: now))
        }
    }

    /// - Returns: jobs that the worker no longer has.
    private func settle(
        _ steps: [JobStep], _ durability: Durability, _ worker: WorkerID, _ arrivals: inout ChunkArrivals
    ) async throws(ClientError) -> [String] {
        let verdicts: [JobVerdict]
        do { verdicts = try await core.apply(steps, durability) } catch { throw ClientError(error) }
        var gone: [String] = []
        for (step, verdict) in zip(steps, verdicts) {
            core.settle(step.event, verdict, at: step.at)
            switch step.event {
            case .finish: core.dispatcher.release(step.job, from: worker, isDone: false, at: step.at)
            case .append(_, _, let chunks, _):
                note(verdict, step.job, chunks, isPlaced: true, &arrivals)
                if verdict.isRefused || verdict == .unknown { gone.append(step.job.text) }
            default: break
            }
        }
        return gone
    }
}
