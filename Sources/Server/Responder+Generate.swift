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
    func generate(_ call: Call, _ route: Route) async throws(APIError) -> Response {
        let bytes = try await body(of: call)
        let job = try service.job(route, bytes, call.caller)
        let watch = await call.connectionWatch()
        let run = try service.run(job)
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
            let sink = BodySink(output: output)
            try await withTaskExecutorPreference(executor) {
                var run = run, sink = sink
                try await run.stream(to: &sink) { watch.clear() }
            }
        }
        return Response(
            status: .ok,
            headers: [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache", .xAccelBuffering: "no"],
            body: body)
    }
}

/// The body of a response as a sink.
private struct BodySink: PieceSink {
    var output: any ResponseBodyWriter

    mutating func write(_ bytes: [UInt8], _ advance: ReplyAdvance?) async throws { try await output.write(ByteBuffer(bytes: bytes)) }
    mutating func finish() async throws { try await output.finish(nil) }
}

extension Call {
    var caller: Caller {
        Caller(
            requestID: requestID, hasOwnID: hasClientID, priority: request.headers[HTTPField.Name.vllmPriority].flatMap { Int($0) }, arrival: arrival,
            watch: { await connectionWatch() })
    }

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
