/// The events of one request. Meant for one reader. Dropping the sequence and its iterators, or cancelling the task that reads,
/// cancels the request: its blocks are free one step later.
package struct RequestOutputs: AsyncSequence, Sendable {
    package typealias Element = RequestEvent
    package typealias Failure = EngineError

    package let id: RequestID
    let lease: RequestLease

    package struct Iterator: AsyncIteratorProtocol {
        let lease: RequestLease

        /// - Returns: the next event, nil after the last one or when the task is cancelled.
        /// - Throws: why the request failed.
        package mutating func next() async throws(EngineError) -> RequestEvent? {
            try await lease.next()
        }

        package mutating func next(isolation actor: isolated (any Actor)?) async throws(EngineError) -> RequestEvent? {
            try await lease.next()
        }
    }

    package func makeAsyncIterator() -> Iterator { Iterator(lease: lease) }
}

/// Shared by a request's sequence and iterators; the last one to go cancels the request.
final class RequestLease: Sendable {
    private let id: RequestID
    private let stream: OutputStream
    private let inbox: Mailbox<Inbox>

    init(id: RequestID, stream: OutputStream, inbox: Mailbox<Inbox>) {
        self.id = id
        self.stream = stream
        self.inbox = inbox
    }

    deinit { cancel() }

    func cancel() {
        if stream.close() { inbox.post { $0.cancel(id) } }
    }

    func next() async throws(EngineError) -> RequestEvent? {
        if let result = stream.poll() { return try result.get() }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { stream.wait($0) }
        } onCancel: {
            cancel()
        }
        return try result.get()
    }
}
