internal import JSON
internal import Logging
internal import OpenAI
internal import Server
internal import WorkerProtocol

/// One run of one job: from its input to the partial outputs and what comes of it.
struct JobRun: Sendable {
    /// How a job ended.
    enum End: Sendable {
        /// All is in the partial outputs.
        case streamed
        /// One output, as JSON text.
        case whole([UInt8])
        case failed(String)
        /// Stopped from outside: there is nothing to say.
        case stopped
    }

    let job: JobMessage
    let service: LocalService
    let settings: WorkerSettings
    let notices: OneTimeNotices
    let logger: Logger
    /// Where streams are read.
    let executor: (any TaskExecutor)?
    /// Takes the partial outputs in order; a slow one slows the generation.
    let emit: @Sendable (Partial) async -> Void
    /// Whether partial outputs cost a request each, so that events are better sent several at a time.
    let gathersEvents: Bool

    func run() async -> End {
        if let begun = job.resume?.total.model, !settings.fingerprint.isEmpty, begun != settings.fingerprint {
            return .failed("the answer was begun with another model or other settings, and cannot be ended with these; send the request again")
        }
        let input: JobInput
        do {
            input = try JobInput(job.input, settings)
        } catch {
            return .failed(error.description)
        }
        switch input {
        case .api(let method, let path, let body): return await api(method, path, body)
        case .native(let request): return await native(request)
        }
    }

    /// Whether nothing is to be said of the job: it was stopped, or the engine is gone and another worker may do better.
    private var isOver: Bool { Task.isCancelled || !service.model.generator.isAlive }

    private var progress: ReplyProgress? {
        guard let resume = job.resume, resume.chunks > 0 else { return nil }
        return ReplyProgress(hasBegun: true, tokens: resume.total.tokens, finished: Set(resume.total.finished), created: resume.total.created)
    }

    private func request(_ method: String, _ path: String, _ body: [UInt8], givesUpdates: Bool = false) -> LocalRequest {
        LocalRequest(
            method: method, path: path, body: body, id: job.id, seed: StableHash.fnv1a64(job.id) ^ settings.seed, progress: progress, givesUpdates: givesUpdates)
    }

    // MARK: Requests to the API

    private func api(_ method: String, _ path: String, _ body: [UInt8]) async -> End {
        do {
            switch try await service.answer(request(method, path, body)) {
            case .whole(let bytes): return Task.isCancelled ? .stopped : .whole(bytes)
            case .stream(let stream):
                let pump = EventGathering(
                    batching: gathersEvents ? settings.batching : nil, isRaw: settings.rawOpenAIOutput, created: progress == nil ? stream.created : nil,
                    emit: emit)
                try await withTaskExecutorPreference(executor) {
                    try await stream.read { try await pump.take($0, $1) }
                    await pump.finish()
                }
                return .streamed
            }
        } catch let error as APIError {
            return isOver ? .stopped : .failed(Self.text(error))
        } catch {
            return .stopped
        }
    }

    /// The error as the gateway reads it: an object with `message`, `type`, `param` and `code`.
    static func text(_ error: APIError) -> String {
        var writer = JSONWriter(capacity: 160)
        error.write(into: &writer)
        // `{"error":{…}}` without what is around the inner object.
        return String(decoding: writer.bytes.dropFirst(9).dropLast(), as: UTF8.self)
    }

    // MARK: Native input

    private func native(_ native: NativeRequest) async -> End {
        if native.usesDefaultLength {
            notices.once("max_tokens") {
                logger.warning(
                    "sampling_params without max_tokens: answers end after \(NativeRequest.defaultLength) tokens, as in Runpod's worker",
                    metadata: ["request_id": "\(job.id)"])
            }
        }
        do {
            guard case .stream(let stream) = try await service.answer(request("POST", native.path, native.updatesBody, givesUpdates: true)) else {
                return .failed("the answer has no text")
            }
            let gathering = UpdateGathering(
                batching: native.stream ? native.batching : nil, choices: stream.choiceCount, promptTokens: stream.promptTokens, progress: progress,
                created: stream.created, emit: emit)
            try await withTaskExecutorPreference(executor) {
                try await stream.read { try await gathering.take($1.updates) }
                await gathering.finish()
            }
            return .streamed
        } catch let error as APIError {
            if isOver { return .stopped }
            return .failed(error.status < 500 ? error.message : CrashReport.text("EngineError", error.message, settings))
        } catch {
            return .stopped
        }
    }
}

/// What went wrong inside, as the SDK reports exceptions.
enum CrashReport {
    static func text(_ type: String, _ message: String, _ settings: WorkerSettings) -> String {
        var writer = JSONWriter(capacity: 256)
        writer.raw("{\"error_type\":")
        writer.string(type)
        writer.raw(",\"error_message\":")
        writer.string(message)
        writer.raw(",\"error_traceback\":")
        writer.string(message)
        writer.raw(",\"hostname\":")
        writer.string(settings.hostname)
        writer.raw(",\"worker_id\":")
        writer.string(settings.workerID)
        writer.raw(",\"runpod_version\":")
        writer.string(settings.sdkVersion)
        writer.raw("}")
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
