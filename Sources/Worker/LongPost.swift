internal import AsyncHTTPClient
internal import Engine
internal import JSON
internal import NIOCore
internal import NIOHTTP1
internal import Synchronization
internal import WorkerProtocol

/// One request to the gateway whose body carries batch after batch while its answers come (`BatchStream`).
///
/// It is over after some minutes, where nothing has been sent for a while, and where something goes wrong: `Event.over` comes once, as all events on the
/// event loop, and what was sent and has no answer by then is to be sent otherwise.
final class LongPost: HTTPClientResponseDelegate, Sendable {
    typealias Response = Void

    enum Event: Sendable {
        /// The gateway reads: batches may be sent.
        case opened
        /// Nothing more can be sent on it.
        case finishing
        /// For all batches up to a number.
        case answered(Int, gone: Set<String>)
        /// - Parameter failure: nil where it ended as it should.
        case over(failure: String?)
    }

    private struct State {
        var body: (writer: HTTPClient.Body.StreamWriter, end: EventLoopPromise<Void>)?
        var isOpen = false
        /// Nothing more is sent.
        var isFinishing = false
        var isOver = false
        var answers = BatchStream.AnswerReader()
        /// The last batch that asks for an answer, and since when there is one without.
        var asked = -1
        var askedAt: MonotonicTime?
        var sentAt = MonotonicTime.now
        let begin = MonotonicTime.now
        var cancel: (@Sendable () -> Void)?
    }

    /// Seconds.
    private static let openingLimit = 3.0, answerLimit = 30.0, idleLimit = 15.0, longestLife = 240.0

    private let eventLoop: any EventLoop
    private let onEvent: @Sendable (LongPost, Event) -> Void
    private let state = Mutex(State())

    init(on eventLoop: any EventLoop, onEvent: @escaping @Sendable (LongPost, Event) -> Void) {
        self.eventLoop = eventLoop
        self.onEvent = onEvent
    }

    /// Sends the request's head. From any thread.
    func begin(_ url: String, _ client: GatewayClient) {
        do {
            let cancel = try client.stream(url, to: self, on: eventLoop) { writer in
                let end = self.eventLoop.makePromise(of: Void.self)
                let former = self.state.withLock { state in
                    defer { state.body = state.isOver ? nil : (writer, end) }
                    return (state.isOver ? end : nil, state.body?.end)
                }
                for promise in [former.0, former.1] { promise?.fail(CancellationError()) }
                return end.futureResult
            }
            let isOver = state.withLock { state in
                if !state.isOver { state.cancel = cancel }
                return state.isOver
            }
            if isOver { return cancel() }
            eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(2)) { task in
                if self.tick() { task.cancel() }
            }
        } catch {
            eventLoop.execute { self.end("\(error)") }
        }
    }

    /// Sends a batch; on the event loop, between `opened` and `finishing`.
    /// - Parameter frames: as `ChunkBatch` writes them.
    func send(_ number: Int, _ frames: [UInt8], wantsAnswer: Bool) {
        let writer = state.withLock { state -> HTTPClient.Body.StreamWriter? in
            guard state.isOpen, !state.isFinishing, !state.isOver else { return nil }
            state.sentAt = .now
            if wantsAnswer {
                state.asked = number
                if state.askedAt == nil { state.askedAt = state.sentAt }
            }
            return state.body?.writer
        }
        guard let writer else { return }
        var bytes = JSONWriter(capacity: frames.count + 64)
        BatchStream.append(number, wantsAnswer: wantsAnswer, frames, to: &bytes)
        // What becomes of it shows in the answers.
        _ = writer.write(.byteBuffer(ByteBuffer(bytes: bytes.bytes)))
    }

    /// Nothing more is to be sent: the gateway answers what it has, and that is the end. On the event loop.
    func finish() {
        let (isFirst, end) = state.withLock { state -> (Bool, EventLoopPromise<Void>?) in
            guard !state.isFinishing, !state.isOver else { return (false, nil) }
            state.isFinishing = true
            state.askedAt = .now
            return (true, state.body?.end)
        }
        guard isFirst else { return }
        onEvent(self, .finishing)
        end?.succeed()
    }

    /// Nobody waits for it any more.
    func abandon() { end("abandoned") }

    /// - Returns: whether it is over.
    private func tick() -> Bool {
        let (failure, isIdle, isOver) = state.withLock { state -> (String?, Bool, Bool) in
            let now = MonotonicTime.now
            if !state.isOpen, now.seconds(since: state.begin) > Self.openingLimit {
                return ("the gateway, or what is before it, does not read while the request goes on", false, state.isOver)
            }
            if let asked = state.askedAt, now.seconds(since: asked) > Self.answerLimit { return ("no answer in \(Self.answerLimit) s", false, state.isOver) }
            let isIdle = state.isOpen && (now.seconds(since: state.sentAt) > Self.idleLimit || now.seconds(since: state.begin) > Self.longestLife)
            return (nil, isIdle, state.isOver)
        }
        if isOver { return true }
        if let failure {
            end(failure)
            return true
        }
        if isIdle { finish() }
        return false
    }

    /// - Parameter failure: nil where all is well.
    private func end(_ failure: String?) {
        let (isFirst, promise, cancel) = state.withLock { state in
            defer { (state.isOver, state.body, state.cancel) = (true, nil, nil) }
            return (!state.isOver, state.body?.end, state.cancel)
        }
        guard isFirst else { return }
        if failure == nil { promise?.succeed() } else { promise?.fail(CancellationError()) }
        if failure != nil { cancel?() }
        onEvent(self, .over(failure: failure))
    }

    // MARK: What comes back

    func didReceiveHead(task: HTTPClient.Task<Void>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        if head.status == .ok {
            state.withLock { $0.isOpen = true }
            onEvent(self, .opened)
        } else {
            end("HTTP \(head.status.code)")
        }
        return eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveBodyPart(task: HTTPClient.Task<Void>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        do {
            let answers = try state.withLock { state in
                state.answers.add(buffer.readableBytesView)
                var answers: [BatchStream.Answer] = []
                while let answer = try state.answers.next() {
                    answers.append(answer)
                    state.askedAt = answer.number >= state.asked && !state.isFinishing ? nil : .now
                }
                return answers
            }
            for answer in answers {
                onEvent(self, .answered(answer.number, gone: Set(answer.gone)))
                if answer.isOver { end(nil) }
            }
        } catch {
            end("\(error)")
        }
        return eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveError(task: HTTPClient.Task<Void>, _ error: any Error) { end("\(error)") }
    func didFinishRequest(task: HTTPClient.Task<Void>) throws { end("the answers ended") }
}
