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
        core.workerIsReady(call.worker, coldStart: http.request.headers[.xNeedletailColdStart])
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
            // A poll that nobody reads must not be given jobs.
            if answers.isEmpty {
                _ = core.dispatcher.closePoll(poll)
                answers = poll.box.empty()
            }
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
        // Where each batch has to be stored first, single posts gather while that takes its time.
        if !core.store.isShared { response.headers[.xNeedletailBatches] = "1" }
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
                var arrivals = ChunkArrivals()
                relayed(fresh, firstFrom, id, &arrivals)
                core.signals.chunks(arrivals, of: call.endpoint.id)
                return true
            case .elsewhere: break
            }
        }
        do {
            let verdict = try await core.apply(id, .append(worker: call.worker, attempt: attempt, chunks: chunks, isPlaced: isPlaced), .committed)
            var arrivals = ChunkArrivals()
            note(verdict, id, chunks, isPlaced: isPlaced, &arrivals)
            core.signals.chunks(arrivals, of: call.endpoint.id)
            return !verdict.isRefused && verdict != .unknown
        } catch { throw ClientError(error) }
    }

    /// Sends new chunks on to the client, which is connected here, or has its task do so.
    func relayed(_ fresh: [JobChunk], _ firstFrom: Timestamp?, _ id: JobID, _ arrivals: inout ChunkArrivals) {
        guard !fresh.isEmpty else { return }
        if let outlet = core.relays.outlet(id) { outlet.nudge() } else { core.watch.tell(id, .relayed) }
        arrivals.add(fresh, firstOfJobFrom: firstFrom)
    }

    /// Chunks that the store has taken go on to a client that is connected here.
    /// - isPlaced: the chunks know their places; otherwise the client's task reads them from the store.
    func note(_ verdict: JobVerdict, _ id: JobID, _ chunks: [JobChunk], isPlaced: Bool, _ arrivals: inout ChunkArrivals) {
        guard !verdict.isRefused, let job = verdict.job else { return }
        switch core.relays.takeStored(id, isPlaced ? chunks : []) {
        case .taken(let fresh, let firstFrom): relayed(fresh, firstFrom, id, &arrivals)
        case .elsewhere, .fenced:
            if verdict.isApplied { arrivals.add(chunks, firstOfJobFrom: job.chunkCount == chunks.count ? job.submittedAt : nil) }
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
            let isClosing = core.isClosing.withLock { $0 }
            let hold = isClosing ? 0 : isOpen ? limits.stopHold : 1000
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
        // A worker that ends by itself: its poll is answered, and what it has it gives back in time.
        if http.parameter("status") == "leaving" {
            _ = core.dispatcher.update(call.worker) { $0.isLeaving = true }
            core.drain(call.worker, "it is ending")
        }
        let named = Set((http.parameter("job_id") ?? "").split(separator: ",").map { JobID(String($0)) })
        await core.pinged(call.worker, named, in: call.endpoint.id)
        return Reply.json { $0.raw("{}") }
    }
}
