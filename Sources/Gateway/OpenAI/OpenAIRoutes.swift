internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import JSON
internal import Jobs
internal import Logging
internal import NIOCore
internal import Synchronization
internal import Web

/// `/v2/{endpoint}/openai/…`: an OpenAI (or Anthropic) client's request is a job like any other; its answer streams through as it comes.
struct OpenAIRoutes: Sendable {
    let core: GatewayCore
    let client: ClientRoutes
    let limits: RequestLimits
    let executors: EventLoopExecutors

    /// - path: after `/openai`.
    func handle(_ call: GatewayCall, path: String, _ endpoint: EndpointDefinition, _ ticket: RateTicket?) async throws(OpenAIFailure) -> Response {
        let request: OpenAIRequest
        do throws(ClientError) {
            var body: [UInt8]?
            if call.method != .get && call.method != .head {
                body = try await call.body(
                    limit: limits.runsyncBody, tooLarge: ClientError(status: 413, message: "the request body is larger than \(limits.runsyncBody) bytes"))
            }
            request = try OpenAIRequest(path: path, body: body)
            try client.checkRoom(endpoint)
        } catch { throw OpenAIFailure(error) }
        let policy = JobPolicy(executionTimeout: endpoint.executionTimeout, timeToLive: endpoint.timeToLive, retention: endpoint.runsyncRetention)
        let job = Job(
            id: .make(.openai), endpoint: endpoint.id, origin: .openai, policy: policy, prefix: PromptPrefix.hashes(request.input), submittedAt: .now)
        // Both before the job exists: nothing of it can be missed.
        let watching = core.watch.open(job.id)
        core.relays.open(job.id, submittedAt: job.submittedAt)
        core.signals.metrics.relayBegan(endpoint.id)
        let watch = await call.connectionWatch()
        // A client that hangs up wants nothing more.
        watch.onClose { [core] in
            watching.box.close()
            Task { await core.abandon(job.id) }
        }
        let reader = AnswerReader(
            core: core, id: job.id, endpoint: endpoint.id, box: watching.box, eventLoop: call.eventLoop,
            deadline: .now() + .milliseconds(Int64(endpoint.openAITimeout)))
        do throws(OpenAIFailure) {
            // From here on it is waiting and writing: on the event loop.
            let executor = executors[call.eventLoop]
            let opening: Result<Opening, OpenAIFailure> = await withTaskExecutorPreference(executor) {
                do throws(StoreError) { try await self.core.submit(NewJob(job: job, payload: JobPayload(input: request.input))) } catch {
                    return .failure(OpenAIFailure(.unavailable("the request was not accepted: \(error)")))
                }
                reader.isAccepted.withLock { $0 = true }
                return await self.opening(reader, request)
            }
            switch opening {
            case .failure(let failure): throw failure
            case .success(.whole(let response)):
                watch.clear()
                core.closeRelay(job.id, endpoint.id)
                withExtendedLifetime(ticket) {}
                return response
            case .success(.stream(let first)):
                return stream(first, reader, watching, watch, call, ticket)
            }
        } catch {
            watch.clear()
            core.closeRelay(job.id, endpoint.id)
            await core.abandon(job.id)
            throw error
        }
    }

    private enum Opening: Sendable {
        case whole(Response)
        /// - first: what is there to be sent at once.
        case stream(first: AnswerReader.Item)
    }

    /// Waits for what decides the status: the first chunk, the result, or a failure. A stream's headers go out without it after a while.
    private func opening(_ reader: AnswerReader, _ request: OpenAIRequest) async -> Result<Opening, OpenAIFailure> {
        let early = request.stream ? NIODeadline.now() + .milliseconds(Int64(limits.earlyHeaders)) : nil
        let item = await reader.next(until: early)
        switch item {
        case .chunks(let chunks):
            if let failure = chunks.first.flatMap(Self.failure) { return .failure(failure) }
            if request.stream { return .success(.stream(first: item)) }
            return await whole(reader, first: chunks)
        case .silence: return .success(.stream(first: item))
        case .ended(let job, let result):
            if let failure = Self.failure(job, result) { return .failure(failure) }
            // A stream that is over before its first chunk: a worker that answers in one piece.
            return .success(.whole(Self.response(result)))
        case .timedOut: return .failure(reader.silenceFailure)
        case .gone: return .failure(OpenAIFailure(status: 499, message: "the client hung up", type: "ClientClosedRequest"))
        }
    }

    /// A whole answer that came as chunks: the first of them, as the worker's aggregate would have it.
    private func whole(_ reader: AnswerReader, first chunks: [JobChunk]) async -> Result<Opening, OpenAIFailure> {
        while true {
            switch await reader.next(until: nil) {
            case .chunks, .silence: continue
            case .ended(let job, let result):
                if let failure = Self.failure(job, result) { return .failure(failure) }
                guard let chunk = chunks.first else { return .success(.whole(Self.response(result))) }
                return .success(.whole(Reply.bytes(chunk.body)))
            case .timedOut: return .failure(reader.silenceFailure)
            case .gone: return .failure(OpenAIFailure(status: 499, message: "the client hung up", type: "ClientClosedRequest"))
            }
        }
    }

    private func stream(
        _ first: AnswerReader.Item, _ reader: AnswerReader, _ watching: JobWatch.Watching, _ watch: ConnectionWatch, _ call: GatewayCall, _ ticket: RateTicket?
    ) -> Response {
        let core = core, executor = executors[call.eventLoop]
        let interval = Int64(limits.keepAlive)
        let outlet = StreamOutlet(reader, call.channel)
        core.relays.attach(outlet, to: reader.id)
        let body = ResponseBody { output in
            defer {
                watch.clear()
                core.closeRelay(reader.id, reader.endpoint)
                withExtendedLifetime((watching, ticket)) {}
            }
            var output = output
            do {
                try await withTaskExecutorPreference(executor) {
                    var item = first
                    while true {
                        let (isLast, bytes) = outlet.events.withLock { events in (events.add(item, reader, core), events.take()) }
                        if isLast {
                            // A client may hang up as soon as it has read the end.
                            watch.clear()
                            outlet.close()
                        }
                        if !bytes.isEmpty { try await output.write(ByteBuffer(bytes: bytes)) }
                        if isLast { break }
                        outlet.open()
                        item = await reader.next(until: .now() + .milliseconds(interval))
                        if outlet.takeSpoken(), case .silence = item { item = .chunks([]) }
                    }
                }
            } catch {
                await core.abandon(reader.id)
                throw error
            }
            if reader.gaveUp { await core.abandon(reader.id) }
            try await output.finish(nil)
        }
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache", .xAccelBuffering: "no"], body: body)
    }

    // MARK: Reading what workers say

    static func failure(_ chunk: JobChunk) -> OpenAIFailure? {
        guard chunk.form == .json, let value = try? JSONValue(parsing: chunk.body), value["error"] != nil else { return nil }
        return OpenAIFailure(object: value)
    }

    static func failure(_ job: Job, _ result: JobResult) -> OpenAIFailure? {
        switch job.state {
        case .completed:
            guard let output = result.output.flatMap({ try? JSONValue(parsing: $0) }) else { return nil }
            let value = output.array?.first ?? output
            return value["error"]?.isTruthy == true ? OpenAIFailure(object: value) : nil
        case .timedOut: return OpenAIFailure(status: 504, message: result.error ?? "the request ran too long", type: "TimeoutError")
        case .cancelled: return OpenAIFailure(status: 503, message: "the request was cancelled", type: "ServiceUnavailableError")
        default: return OpenAIFailure(workerError: result.error ?? "the worker failed without saying why")
        }
    }

    /// The output, or the first of an aggregate.
    static func response(_ result: JobResult) -> Response {
        guard let output = result.output else { return Reply.bytes(Array("null".utf8)) }
        guard output.first == UInt8(ascii: "["), let list = try? JSONValue(parsing: output).array else { return Reply.bytes(output) }
        if list.count == 1 || list.first?.object != nil { return Reply.bytes(Array((list.first ?? .null).text.utf8)) }
        // An event stream that was gathered: as it would have been streamed.
        let texts = list.compactMap(\.string)
        if !texts.isEmpty, texts.count == list.count { return Reply.bytes(Array(texts.joined().utf8), type: "text/event-stream; charset=utf-8") }
        return Reply.bytes(output)
    }
}

extension GatewayCore {
    func closeRelay(_ id: JobID, _ endpoint: EndpointID) {
        relays.close(id)
        signals.metrics.relayEnded(endpoint)
    }

    /// The client of an OpenAI request is gone.
    func abandon(_ id: JobID) async {
        relays.close(id)
        do { try await apply(id, .cancel, .committed) } catch { logger.warning("a request was not cancelled: \(error)", metadata: ["job": "\(id)"]) }
    }
}
