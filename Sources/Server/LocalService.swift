internal import Engine
internal import HTTPTypes
internal import JSON
package import OpenAI
internal import Web

/// The API without HTTP: the same routes, the same bytes, for callers in this process.
///
/// Cancelling the task that waits for an answer, or reads a stream, ends the generation in the engine at once.
package struct LocalService: Sendable {
    package let model: ServedModel
    private let service: AnswerService

    package init(model: ServedModel, options: ServerOptions) {
        self.model = model
        service = AnswerService(model: model, options: options, stats: ServerStats())
    }

    /// Whether there is something at the path, and with which methods.
    package static func methods(of path: String) -> [String] {
        guard let route = Route.find(path), isAnswered(route) else { return [] }
        return route.methods.map(\.rawValue)
    }

    /// - Throws: refusals, as HTTP clients would get them.
    package func answer(_ request: LocalRequest) async throws(APIError) -> LocalAnswer {
        guard let route = Route.find(request.path), Self.isAnswered(route) else { throw .notFound(request.path) }
        guard route.methods.contains(where: { $0.rawValue == request.method }) else {
            throw .methodNotAllowed(request.method, allowed: route.methods.map(\.rawValue))
        }
        let watch = ConnectionWatch()
        let caller = Caller(
            requestID: RequestIdentity.isUsable(request.id) ? request.id : RequestIdentity.random(), hasOwnID: false, arrival: .now,
            seed: request.seed, progress: request.progress, watch: { watch })
        let result: Result<LocalAnswer, APIError> = await withTaskCancellationHandler {
            do throws(APIError) { return .success(try await answer(request, route, caller)) } catch { return .failure(error) }
        } onCancel: {
            watch.closed()
        }
        return try result.get()
    }

    private static func isAnswered(_ route: Route) -> Bool {
        switch route {
        case .health, .ping, .load, .metrics, .loadAdapter, .unloadAdapter: false
        default: true
        }
    }

    private func answer(_ request: LocalRequest, _ route: Route, _ caller: Caller) async throws(APIError) -> LocalAnswer {
        switch route {
        case .completions, .chat, .messages: return try await generate(request, route, caller)
        case .models: return .whole(service.models())
        case .model: return .whole(try service.modelCard(request.path))
        case .tokenize: return .whole(try service.tokenize(request.body, caller))
        case .detokenize: return .whole(try service.detokenize(request.body))
        case .version: return .whole(service.version())
        default: return .whole(try await service.pool(route, request.body, caller))
        }
    }

    private func generate(_ request: LocalRequest, _ route: Route, _ caller: Caller) async throws(APIError) -> LocalAnswer {
        var job = try service.job(route, request.body, caller)
        let isStream = job.stream || request.givesUpdates
        job.style.keepsTokens = isStream && !request.givesUpdates
        let run = try GenerationRun(
            job, model: service.model, options: service.options, stats: service.stats, keepsRecord: isStream, givesUpdates: request.givesUpdates)
        if isStream { return .stream(ReplyStream(run)) }
        await caller.watch().onClose { run.cancel() }
        var whole = run
        var writer = JSONWriter(capacity: 1024)
        try await whole.reply(into: &writer)
        return .whole(writer.bytes)
    }
}

/// A request to `LocalService`.
package struct LocalRequest: Sendable {
    package var method: String
    /// Without a query.
    package var path: String
    package var body: [UInt8]
    /// Names the reply, behind a prefix.
    package var id: String
    /// For requests that give none.
    package var seed: UInt64?
    /// What an earlier run of the same request has given out; streams go on after it.
    package var progress: ReplyProgress?
    /// Asks for texts token by token instead of events; for chat and completions only.
    package var givesUpdates: Bool

    package init(
        method: String, path: String, body: [UInt8], id: String, seed: UInt64? = nil, progress: ReplyProgress? = nil, givesUpdates: Bool = false
    ) {
        self.method = method
        self.path = path
        self.body = body
        self.id = id
        self.seed = seed
        self.progress = progress
        self.givesUpdates = givesUpdates
    }
}

package enum LocalAnswer: Sendable {
    /// JSON text.
    case whole([UInt8])
    case stream(ReplyStream)
}

/// A reply that is being generated. Read it once.
package struct ReplyStream: Sendable {
    private let run: GenerationRun

    init(_ run: GenerationRun) { self.run = run }

    /// Of all prompts.
    package var promptTokens: Int { run.job.promptTokens }
    /// Choices, over all prompts.
    package var choiceCount: Int { run.choices.count }
    /// Seconds since 1970 that the reply names.
    package var created: Int { run.job.created }

    /// Ends the generation, from any thread.
    package func cancel() { run.cancel() }

    /// Gives every piece to `take` as it comes together, one after another; a slow `take` makes the pieces larger. Ends the generation when
    /// `take` throws or the task is cancelled.
    /// - Parameter take: is given whole events (empty where updates were asked for), and what they say.
    /// - Throws: `APIError` where the engine fails, `CancellationError`, or what `take` throws.
    package func read(_ take: @escaping @Sendable (_ bytes: [UInt8], _ advance: ReplyAdvance) async throws -> Void) async throws {
        try await withTaskCancellationHandler {
            var run = run, sink = ClosureSink(take: take)
            try await run.stream(to: &sink) {}
            try Task.checkCancellation()
        } onCancel: {
            run.cancel()
        }
    }
}

private struct ClosureSink: PieceSink {
    let take: @Sendable ([UInt8], ReplyAdvance) async throws -> Void

    mutating func write(_ bytes: [UInt8], _ advance: ReplyAdvance?) async throws {
        // What an aborted generation says last is nobody's answer.
        try Task.checkCancellation()
        try await take(bytes, advance ?? ReplyAdvance())
    }

    mutating func finish() async throws {}
}
