internal import HTTPTypes
internal import Hummingbird
internal import JSON
internal import Jobs
internal import Logging
internal import NIOCore
internal import Synchronization
internal import Web
internal import WorkerProtocol

/// The worker's side of the protocol (SDK 1.12): take, done, stream, stop channel, ping.
struct WorkerRoutes: Sendable {
    let core: GatewayCore
    let limits: RequestLimits

    /// One request of a worker whose key has been checked.
    struct WorkerCall: Sendable {
        let call: GatewayCall
        let worker: WorkerID
        let endpoint: EndpointDefinition
    }

    // MARK: Take

    /// - Parameter wanted: jobs at most; 1 is answered with an object, more with a list.
    func take(_ call: WorkerCall, wanted: Int, isBatch: Bool) async throws(ClientError) -> Response {
        let http = call.call
        await core.workerIsReady(call.worker, coldStart: http.request.headers[.xNeedletailColdStart])
        let watch = await http.connectionWatch()
        let isStopping = core.isStopping.withLock { $0 }
        guard !isStopping, let (poll, matches) = core.dispatcher.openPoll(call.worker, call.endpoint.id, wanted: wanted) else {
            // It is being stopped. An answer at once would make it ask again at once.
            let pause = Mailbox<Void>()
            watch.onClose { pause.close() }
            _ = await pause.take(until: .now() + .seconds(1), on: http.eventLoop)
            watch.clear()
            return Reply.nothing
        }
        core.begin(matches)
        watch.onClose { poll.box.close() }
        let deadline = NIODeadline.now() + .milliseconds(Int64(limits.takeHold))
        var answers = await poll.box.take(until: deadline, on: http.eventLoop)
        if answers.isEmpty, !core.dispatcher.closePoll(poll), !poll.box.isClosed {
            // Jobs are on their way already.
            answers = await poll.box.take(until: .now() + .seconds(30), on: http.eventLoop)
        }
        watch.clear()
        guard case .jobs(let handOuts)? = answers.first else { return Reply.nothing }
        if watch.isClosed {
            await core.giveBack(handOuts.map(\.job), from: call.worker)
            return Reply.nothing
        }
        var response = Reply.json { writer in
            if isBatch || handOuts.count > 1 { writer.raw("[") }
            for (place, handOut) in handOuts.enumerated() {
                if place > 0 { writer.raw(",") }
                writer.bytes.append(contentsOf: handOut.message)
            }
            if isBatch || handOuts.count > 1 { writer.raw("]") }
        }
        response.headers[.xNeedletailBatch] = "1"
        return response
    }

    // MARK: Done

    func done(_ call: WorkerCall, _ id: JobID) async throws(ClientError) -> Response {
        core.sawLife(call.worker)
        let limit = call.endpoint.maxResultByteCount
        let post: WorkerPost
        do throws(ClientError) {
            let body = try await call.call.body(limit: limit + (1 << 20), tooLarge: Self.tooLarge(limit))
            post = WorkerPost(body, maxByteCount: limit)
        } catch {
            guard error.status == 413 else { throw error }
            // A refusal would lose the result without a word to the client.
            post = .result(.failed(error: error.message, output: nil), stopsWorker: false)
        }
        try await settle(post, id, attempt: nil, call)
        return Reply.json { $0.raw("{}") }
    }

    private static func tooLarge(_ limit: Int) -> ClientError {
        ClientError(
            status: 413, message: "the result is larger than the \(limit) bytes that are kept (maxResultBytes); have the worker upload it and return a link")
    }

    private func settle(_ post: WorkerPost, _ id: JobID, attempt: Int?, _ call: WorkerCall) async throws(ClientError) {
        do {
            switch post {
            case .progress(let value): try await core.apply(id, .progress(worker: call.worker, value: value), .committed)
            case .result(let outcome, let stopsWorker):
                let isRelayed = core.relays.has(id)
                try await core.apply(id, .finish(worker: call.worker, attempt: attempt, outcome), isRelayed ? .committed : .synced)
                // Whatever the store says of the job, this worker is done with it.
                core.dispatcher.release(id, from: call.worker, isDone: false, at: .now)
                if stopsWorker { core.drain(call.worker, "it asked to be replaced") }
            }
        } catch { throw ClientError(error) }
    }

    // MARK: Stream

    func stream(_ call: WorkerCall, _ id: JobID) async throws(ClientError) -> Response {
        core.sawLife(call.worker)
        let limit = call.endpoint.maxChunkByteCount
        let body: [UInt8]
        do throws(ClientError) {
            body = try await call.call.body(limit: limit + 1024, tooLarge: ClientError(status: 413, message: "the chunk is larger than \(limit) bytes (maxChunkBytes)"))
        } catch {
            if error.status == 413 { try await settle(.result(.failed(error: error.message, output: nil), stopsWorker: false), id, attempt: nil, call) }
            throw error
        }
        guard let chunk = WorkerPost.chunk(body) else { throw .bad("the chunk is not {\"output\": …}") }
        let isTaken = try await take(id, call, attempt: nil, [chunk], isPlaced: false)
        // The job is gone: a worker that can stop should.
        guard isTaken else { throw .noJob }
        return Reply.json { $0.raw("{}") }
    }

    /// - Returns: whether the worker still has the job.
    private func take(_ id: JobID, _ call: WorkerCall, attempt: Int?, _ chunks: [JobChunk], isPlaced: Bool) async throws(ClientError) -> Bool {
        if !core.store.isShared {
            // Alone, the store need not know what is on the client's screen already.
            switch core.relays.take(id, call.worker, attempt: attempt, chunks, isPlaced: isPlaced) {
            case .fenced: return false
            case .taken(let fresh, let firstFrom):
                relayed(fresh, firstFrom, id, call.endpoint.id)
                return true
            case .elsewhere: break
            }
        }
        do {
            let verdict = try await core.apply(id, .append(worker: call.worker, attempt: attempt, chunks: chunks, isPlaced: isPlaced), .committed)
            note(verdict, id, chunks, isPlaced: isPlaced)
            return !verdict.isRefused && verdict != .unknown
        } catch { throw ClientError(error) }
    }

    /// Tells the client's task, which is connected here, of its new chunks.
    private func relayed(_ fresh: [JobChunk], _ firstFrom: Timestamp?, _ id: JobID, _ endpoint: EndpointID) {
        guard !fresh.isEmpty else { return }
        core.watch.tell(id, .relayed)
        core.signals.chunks(fresh, of: endpoint, firstOfJobFrom: firstFrom)
    }

    /// Chunks and results of all jobs of our own worker since its last post (`ChunkBatch`).
    func streamBatch(_ call: WorkerCall) async throws(ClientError) -> Response {
        core.sawLife(call.worker)
        let body = try await call.call.body(limit: 256 << 20, tooLarge: ClientError(status: 413, message: "the batch is too large"))
        let frames: [ChunkFrame]
        do { frames = try ChunkBatch.frames(body) } catch { throw .bad("\(error)") }
        // First what clients are waiting for, then what has to be written down.
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
            case .json, .text:
                let chunk = JobChunk(index: frame.index, form: frame.form == .text ? .text : .json, body: frame.body, resume: frame.resume)
                // Where several gateways share the store it comes first: a client must not see what another gateway could not go on from.
                let answer =
                    core.store.isShared ? .elsewhere : core.relays.take(id, call.worker, attempt: frame.attempt, [chunk], isPlaced: true)
                switch answer {
                case .fenced: gone.append(frame.job)
                case .taken(let fresh, let firstFrom): relayed(fresh, firstFrom, id, call.endpoint.id)
                case .elsewhere: Self.add(chunk, id, call.worker, frame.attempt, now, to: &steps)
                }
            }
        }
        if !steps.isEmpty { gone += try await settle(steps, .committed, call.worker) }
        for place in ends.indices { try await aggregate(&ends[place], call.endpoint) }
        if !ends.isEmpty { gone += try await settle(ends, durability, call.worker) }
        return Reply.json { writer in
            writer.raw("{\"gone\":[")
            for (place, id) in gone.enumerated() {
                if place > 0 { writer.raw(",") }
                writer.string(id)
            }
            writer.raw("]}")
        }
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
    private func settle(_ steps: [JobStep], _ durability: Durability, _ worker: WorkerID) async throws(ClientError) -> [String] {
        let verdicts: [JobVerdict]
        do { verdicts = try await core.store.apply(steps, durability) } catch { throw ClientError(error) }
        var gone: [String] = []
        for (step, verdict) in zip(steps, verdicts) {
            core.settle(step.event, verdict, at: step.at)
            switch step.event {
            case .finish: core.dispatcher.release(step.job, from: worker, isDone: false, at: step.at)
            case .append(_, _, let chunks, _):
                note(verdict, step.job, chunks, isPlaced: true)
                if verdict.isRefused || verdict == .unknown { gone.append(step.job.text) }
            default: break
            }
        }
        return gone
    }

    /// Chunks that the store has taken go on to a client that is connected here.
    /// - isPlaced: the chunks know their places; otherwise the client's task reads them from the store.
    private func note(_ verdict: JobVerdict, _ id: JobID, _ chunks: [JobChunk], isPlaced: Bool) {
        guard !verdict.isRefused, let job = verdict.job else { return }
        switch core.relays.takeStored(id, isPlaced ? chunks : []) {
        case .taken(let fresh, let firstFrom): relayed(fresh, firstFrom, id, job.endpoint)
        case .elsewhere, .fenced:
            if verdict.isApplied { core.signals.chunks(chunks, of: job.endpoint, firstOfJobFrom: job.chunkCount == chunks.count ? job.submittedAt : nil) }
        }
    }

    // MARK: Stop channel

    func stop(_ call: WorkerCall) async throws(ClientError) -> Response {
        core.sawLife(call.worker)
        let watch = await call.call.connectionWatch()
        let (waiting, box) = core.dispatcher.openStopPoll(call.worker)
        var stops = waiting
        if stops.isEmpty {
            let isOpen = core.dispatcher.seat(call.worker)?.isOpen ?? false
            let hold = isOpen ? limits.stopHold : 1000
            watch.onClose { box.close() }
            stops = await box.take(until: .now() + .milliseconds(Int64(hold)), on: call.call.eventLoop).flatMap { $0 }
            watch.clear()
        }
        core.dispatcher.closeStopPoll(call.worker, box, unsent: watch.isClosed ? stops : [])
        if stops.isEmpty || watch.isClosed { return Reply.nothing }
        return Reply.json { writer in
            writer.raw("{\"jobsToStop\":[")
            for (place, id) in stops.enumerated() {
                if place > 0 { writer.raw(",") }
                writer.string(id.text)
            }
            writer.raw("]}")
        }
    }

    // MARK: Ping

    func ping(_ call: WorkerCall) async throws(ClientError) -> Response {
        let http = call.call
        if http.parameter("status") == "unhealthy" {
            let check = http.parameter("check") ?? "a check", reason = http.parameter("reason") ?? "no reason given"
            await core.workerIsUnhealthy(call.worker, "\(check.prefix(100)) failed: \(reason.prefix(300))")
            return Reply.json { $0.raw("{}") }
        }
        let named = Set((http.parameter("job_id") ?? "").split(separator: ",").map { JobID(String($0)) })
        await core.pinged(call.worker, named, in: call.endpoint.id)
        return Reply.json { $0.raw("{}") }
    }
}
