internal import Engine
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import JSON
internal import NIOCore
internal import OpenAI
internal import Web

/// Completions and chat: decode, prepare, submit, and write the reply on the connection's event loop.
extension Responder {
    func preparation(_ call: Call, bodyID: String? = nil) -> Preparation {
        let id = call.hasClientID ? call.requestID : bodyID.flatMap { RequestIdentity.isUsable($0) ? $0 : nil } ?? call.requestID
        return Preparation(
            model: model, options: options, requestID: id,
            priority: call.request.headers[HTTPField.Name.vllmPriority].flatMap { Int($0) }, arrival: call.arrival)
    }

    func generate(_ call: Call, _ route: Route) async throws(APIError) -> Response {
        let bytes = try await body(of: call)
        if stats.isDraining { throw .overloaded("the server is shutting down") }
        if let pooled = model.pooled {
            throw .wrongTask(route == .chat ? "the Chat Completions API" : "the Completions API", model: model.names[0], does: pooled.purpose)
        }
        let job: GenerationJob
        if route == .chat {
            let request = try ChatRequest(body: bytes, limits: options.limits, serverStreamInterval: options.streamInterval)
            job = try preparation(call, bodyID: request.reply.requestID).job(request)
        } else {
            let request = try CompletionRequest(body: bytes, limits: options.limits, serverStreamInterval: options.streamInterval)
            job = try preparation(call, bodyID: request.reply.requestID).job(request)
        }
        let watch = await call.connectionWatch()
        let run = try GenerationRun(job, model: model, options: options, stats: stats)
        let ticket = ServerStats.LoadTicket(stats)
        watch.onClose { [stats, generations = run.generations] in
            stats.clientDisconnected()
            for generation in generations { generation.cancel() }
        }
        let executor = EventLoopTaskExecutor(call.channel.eventLoop)
        return job.stream ? stream(run, call, watch, executor, ticket) : try await whole(run, watch, executor, ticket)
    }

    private func whole(
        _ run: GenerationRun, _ watch: ConnectionWatch, _ executor: EventLoopTaskExecutor, _ ticket: ServerStats.LoadTicket
    ) async throws(APIError) -> Response {
        defer {
            watch.clear()
            withExtendedLifetime(ticket) {}
        }
        let result: Result<[UInt8], APIError> = await withTaskExecutorPreference(executor) {
            var run = run
            var writer = JSONWriter(capacity: 1024)
            do throws(APIError) {
                try await run.reply(into: &writer)
                return .success(writer.bytes)
            } catch {
                return .failure(error)
            }
        }
        return Self.json(try result.get())
    }

    private func stream(
        _ run: GenerationRun, _ call: Call, _ watch: ConnectionWatch, _ executor: EventLoopTaskExecutor,
        _ ticket: ServerStats.LoadTicket
    ) -> Response {
        let body = ResponseBody { [self] output in
            defer {
                watch.clear()
                withExtendedLifetime(ticket) {}
                finished(call, 200)
            }
            var writer = output
            try await withTaskExecutorPreference(executor) {
                var run = run
                try await run.stream(to: &writer) { watch.clear() }
            }
        }
        return Response(
            status: .ok,
            headers: [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache", .xAccelBuffering: "no"],
            body: body)
    }
}

extension Call {
    /// The watch that `ConnectionGuard` keeps for this connection.
    func connectionWatch() async -> ConnectionWatch {
        let watch = try? await channel.eventLoop.submit { [channel] in
            try channel.pipeline.syncOperations.handler(type: ConnectionGuard.self).watch
        }.get()
        if let watch { return watch }
        // The pipeline is gone, and so is the client.
        let closed = ConnectionWatch()
        closed.closed()
        return closed
    }
}
