import HTTPTypes
import Hummingbird
import HummingbirdCore
import JSON
import Logging
import NIOCore
import NIOPosix
import Synchronization
import WorkerProtocol

/// A gateway that says what the test has written down, and remembers what it was told.
final class StandInGateway: Sendable {
    struct Reply: Sendable {
        var status = 200
        var body = ""
        var headers: [String: String] = [:]
    }

    struct Call: Sendable {
        var method: String
        /// With its query.
        var path: String
        var headers: [String: String]
        var body: [UInt8]
        var moment: ContinuousClock.Instant

        var text: String { String(decoding: body, as: UTF8.self) }
    }

    /// What it makes of a request that carries batch after batch.
    enum LongPost: Sendable {
        case refused(Int)
        /// Reads, and answers as it is asked to.
        case read
        /// Reads the next batch and hangs up without an answer; then as `read`.
        case cut
        /// Says of the next batch's jobs that they are gone; then as `read`.
        case gone
        /// Says nothing before the request has ended, as a proxy that gathers.
        case gathered
    }

    private struct State {
        var longPost = LongPost.refused(404)
        var takes: [Reply] = []
        var posts: [Reply] = []
        var stops: [Reply] = []
        var calls: [Call] = []
        var waiters: [(matches: @Sendable ([Call]) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []
        var takeWaiters: [CheckedContinuation<Void, Never>] = []
        var stopWaiters: [CheckedContinuation<Void, Never>] = []
        var isOver = false
        /// The worker has said that it ends: takes are answered at once.
        var isLeft = false
        var last: Reply?
        var isRefused: (@Sendable ([ChunkFrame]) -> Bool)?
    }

    private let state = Mutex(State())
    private let portNumber = Mutex(0)
    var port: Int { portNumber.withLock { $0 } }

    /// Runs `body` beside a gateway on a free port of the loopback interface.
    static func run(_ body: @escaping @Sendable (StandInGateway) async throws -> Void) async throws {
        let gateway = StandInGateway()
        let (ports, port) = AsyncStream<Int>.makeStream()
        var logger = Logger(label: "gateway")
        logger.logLevel = .critical
        let application = Application(
            responder: StandInResponder(gateway: gateway), configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { port.yield($0.localAddress?.port ?? 0) }, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
            var iterator = ports.makeAsyncIterator()
            let number = await iterator.next() ?? 0
            gateway.portNumber.withLock { $0 = number }
            do {
                try await body(gateway)
            } catch {
                gateway.end()
                group.cancelAll()
                throw error
            }
            gateway.end()
            group.cancelAll()
            while let result = await group.nextResult() { _ = result }
        }
    }

    // MARK: What it says

    /// What takes are answered with, one after another; after the last they are held.
    func onTake(_ replies: Reply...) {
        let waiters = state.withLock { state in
            state.takes += replies
            defer { state.takeWaiters = [] }
            return state.takeWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// What posts are answered with, one after another; after the last with 200.
    func onPost(_ replies: Reply...) { state.withLock { $0.posts += replies } }

    /// What a take is answered with that is held when the worker says that it ends.
    func onLeave(_ reply: Reply) { state.withLock { $0.last = reply } }

    /// Batch posts that are answered with 413.
    func refusePosts(_ isRefused: @escaping @Sendable ([ChunkFrame]) -> Bool) { state.withLock { $0.isRefused = isRefused } }

    func onLongPost(_ longPost: LongPost) { state.withLock { $0.longPost = longPost } }

    func onStop(_ reply: Reply) {
        let waiters = state.withLock { state in
            state.stops.append(reply)
            defer { state.stopWaiters = [] }
            return state.stopWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func leave() {
        let waiters = state.withLock { state in
            state.isLeft = true
            if let last = state.last { state.takes.append(last) }
            defer { state.takeWaiters = [] }
            return state.takeWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func end() {
        let waiters = state.withLock { state in
            state.isOver = true
            defer { (state.takeWaiters, state.stopWaiters) = ([], []) }
            return state.takeWaiters + state.stopWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    // MARK: What it was told

    var calls: [Call] { state.withLock { $0.calls } }
    var takes: [Call] { calls.filter { $0.path.contains("/job-take") } }
    var posts: [Call] { calls.filter { $0.method == "POST" } }
    var pings: [Call] { calls.filter { $0.path.contains("/ping/") } }
    /// All entries of batches, in order.
    var frames: [ChunkFrame] { posts.filter { $0.path.contains("/job-stream-batch") }.flatMap { (try? ChunkBatch.frames($0.body)) ?? [] } }
    /// Batches that came in a request with others.
    var longBatches: [Call] { posts.filter { $0.path.contains("/job-stream-batches/") && !$0.body.isEmpty } }
    /// Requests for many batches.
    var longPosts: [Call] { posts.filter { $0.path.contains("/job-stream-batches/") && $0.body.isEmpty } }

    func wait(_ matches: @escaping @Sendable ([Call]) -> Bool) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let ready = state.withLock { state in
                if matches(state.calls) { return true }
                state.waiters.append((matches, continuation))
                return false
            }
            if ready { continuation.resume() }
        }
    }

    /// Waits for a result of the job.
    /// - Parameter matches: what its body must be.
    func waitForDone(_ job: String, _ matches: @escaping @Sendable (String) -> Bool = { _ in true }) async {
        await wait { calls in
            calls.contains { call in
                call.path.contains("/job-done/") && call.path.contains("/\(job)?")
                    || call.path.contains("/job-stream-batch")
                        && ((try? ChunkBatch.frames(call.body)) ?? []).contains { $0.job == job && $0.form == .done && matches(String(decoding: $0.body, as: UTF8.self)) }
            }
        }
    }

    fileprivate func longPost() -> LongPost { state.withLock { $0.longPost } }

    /// What it makes of one batch.
    fileprivate func nextBatch() -> LongPost {
        state.withLock { state in
            defer { state.longPost = .read }
            return state.longPost
        }
    }

    /// A batch, as if it had been posted singly.
    fileprivate func note(_ call: Call, _ frames: [ChunkFrame]) {
        var call = call
        var writer = JSONWriter()
        for frame in frames { ChunkBatch.append(frame, to: &writer) }
        call.body = writer.bytes
        note(call)
    }

    fileprivate func note(_ call: Call) {
        let ready = state.withLock { state in
            state.calls.append(call)
            let ready = state.waiters.filter { $0.matches(state.calls) }.map(\.continuation)
            state.waiters.removeAll { $0.matches(state.calls) }
            return ready
        }
        for continuation in ready { continuation.resume() }
    }

    fileprivate func answer(_ call: Call) async -> Reply {
        note(call)
        if call.path.contains("status=leaving") { leave() }
        if call.path.contains("/job-take") { return await next(\.takes, \.takeWaiters) }
        if call.path.contains("/job-stop") { return await next(\.stops, \.stopWaiters) }
        if let isRefused = state.withLock({ $0.isRefused }), call.method == "POST", isRefused((try? ChunkBatch.frames(call.body)) ?? []) { return Reply(status: 413) }
        if call.method == "POST" { return state.withLock { $0.posts.isEmpty ? Reply(body: "{\"gone\":[]}") : $0.posts.removeFirst() } }
        return Reply()
    }

    private func next(
        _ replies: any WritableKeyPath<State, [Reply]> & Sendable, _ waiters: any WritableKeyPath<State, [CheckedContinuation<Void, Never>]> & Sendable
    ) async -> Reply {
        while true {
            let (reply, isOver) = state.withLock { state -> (Reply?, Bool) in
                (state[keyPath: replies].isEmpty ? nil : state[keyPath: replies].removeFirst(), state.isOver || (state.isLeft && replies == \State.takes))
            }
            if let reply { return reply }
            if isOver { return Reply(status: 204) }
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let ready = state.withLock { state in
                    let ready = !state[keyPath: replies].isEmpty || state.isOver || (state.isLeft && replies == \State.takes)
                    if !ready { state[keyPath: waiters].append(continuation) }
                    return ready
                }
                if ready { continuation.resume() }
            }
        }
    }
}

private struct StandInResponder: HTTPResponder {
    typealias Context = BasicRequestContext
    let gateway: StandInGateway

    func respond(to request: Request, context: BasicRequestContext) async throws -> Response {
        var headers: [String: String] = [:]
        for field in request.headers { headers[field.name.canonicalName] = field.value }
        var call = StandInGateway.Call(method: request.method.rawValue, path: request.uri.description, headers: headers, body: [], moment: .now)
        if call.path.contains("/job-stream-batches/") { return try await longPost(request, call) }
        call.body = Array(try await request.body.collect(upTo: 64 << 20).readableBytesView)
        let reply = await gateway.answer(call)
        var fields = HTTPFields()
        fields[.contentType] = "application/json"
        for (name, value) in reply.headers { if let name = HTTPField.Name(name) { fields[name] = value } }
        return Response(
            status: HTTPResponse.Status(code: reply.status), headers: fields,
            body: reply.status == 204 ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(string: reply.body)))
    }

    private struct HangsUp: Error {}

    private func longPost(_ request: Request, _ call: StandInGateway.Call) async throws -> Response {
        gateway.note(call)
        if case .refused(let status) = gateway.longPost() { return Response(status: HTTPResponse.Status(code: status)) }
        if case .gathered = gateway.longPost() { _ = try await request.body.collect(upTo: 64 << 20) }
        let gateway = gateway
        return Response(
            status: .ok,
            body: ResponseBody { writer in
                var reader = BatchStream.Reader()
                var last = BatchStream.Answer(number: -1, isOver: true)
                for try await piece in request.body {
                    reader.add(piece.readableBytesView)
                    while let batch = try reader.next() {
                        let behaviour = gateway.nextBatch()
                        gateway.note(call, batch.frames)
                        if case .cut = behaviour { throw HangsUp() }
                        var gone: [String] = []
                        if case .gone = behaviour { gone = batch.frames.map(\.job) }
                        last.number = batch.number
                        if batch.wantsAnswer || !gone.isEmpty { try await writer.write(Self.line(.init(number: batch.number, gone: gone))) }
                    }
                }
                try await writer.write(Self.line(last))
                try await writer.finish(nil)
            })
    }

    private static func line(_ answer: BatchStream.Answer) -> ByteBuffer {
        var writer = JSONWriter()
        BatchStream.append(answer, to: &writer)
        return ByteBuffer(bytes: writer.bytes)
    }
}
