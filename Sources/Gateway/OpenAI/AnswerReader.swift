internal import Jobs
internal import Logging
internal import NIOCore
internal import Synchronization

/// Reads an OpenAI request's answer from its mailbox, item by item.
final class AnswerReader: Sendable {
    enum Item: Sendable {
        case chunks([JobChunk])
        case ended(Job, JobResult)
        /// Nothing until the time asked for.
        case silence
        /// Nothing until the request's own deadline, or nothing will come any more.
        case timedOut
        /// The client hung up.
        case gone
    }

    let core: GatewayCore
    let id: JobID
    let endpoint: EndpointID
    let eventLoop: any EventLoop
    let box: Mailbox<JobNotice>
    private let deadline: NIODeadline
    private struct State {
        var pending: [Item] = []
        var hasSpoken = false
        var gaveUp = false
    }
    private let state = Mutex(State())
    /// Whether the store has the job: one that is missing then has expired.
    let isAccepted = Mutex(false)

    init(core: GatewayCore, id: JobID, endpoint: EndpointID, box: Mailbox<JobNotice>, eventLoop: any EventLoop, deadline: NIODeadline) {
        self.core = core
        self.id = id
        self.endpoint = endpoint
        self.box = box
        self.eventLoop = eventLoop
        self.deadline = deadline
    }

    /// Whether the job should be ended because nobody waits for it any more.
    var gaveUp: Bool { state.withLock { $0.gaveUp } }

    /// Something reached the client on another way than through `next`.
    func heard() { state.withLock { $0.hasSpoken = true } }

    /// Why nothing came.
    var silenceFailure: OpenAIFailure {
        if core.isClosing.withLock({ $0 }) { return OpenAIFailure(.unavailable("the gateway is shutting down")) }
        let reason = "no answer in time" + (core.endpoints.note(endpoint).map { ": \($0)" } ?? "; the job waited for a worker or ran too long")
        return OpenAIFailure(status: 504, message: reason, type: "TimeoutError")
    }

    /// One reader at a time.
    func next(until: NIODeadline?) async -> Item {
        while true {
            if let item = state.withLock({ state in state.pending.isEmpty ? nil : state.pending.removeFirst() }) { return item }
            let isSilent = state.withLock { !$0.hasSpoken }
            // Once something came, only silence for ever is too long: the execution timeout ends the job.
            var limit = until ?? .now() + Self.pause
            if isSilent { limit = min(limit, deadline) }
            let notices = await box.take(until: limit, on: eventLoop)
            if !notices.isEmpty {
                await sort(notices)
                continue
            }
            if box.isClosed { return .gone }
            if state.withLock({ !$0.hasSpoken }), NIODeadline.now() >= deadline { return giveUp() }
            // A notice may have been lost with the store's connection.
            await sort([.poke])
            if state.withLock({ $0.pending.isEmpty }), until != nil { return .silence }
        }
    }

    /// Between looks at the store while nothing is heard.
    private static let pause = TimeAmount.seconds(10)

    private func giveUp() -> Item {
        state.withLock { $0.gaveUp = true }
        return .timedOut
    }

    private func sort(_ notices: [JobNotice]) async {
        var end: Item?
        var mayHaveMore = false
        for notice in notices {
            switch notice {
            case .relayed, .changed: continue
            case .poke: mayHaveMore = true
            case .ended(let job, let result): end = .ended(job, result)
            }
        }
        if mayHaveMore, end == nil { end = await storedEnd() }
        // A job's chunks are here or in the store before its end is.
        if mayHaveMore || end != nil { await fetchStored() }
        let chunks = core.relays.collect(id)
        state.withLock { state in
            if !chunks.isEmpty {
                state.hasSpoken = true
                state.pending.append(.chunks(chunks))
            }
            if let end { state.pending.append(end) }
        }
    }

    /// How the job ended, as the store has it; nil: it did not, or the store cannot say just now.
    private func storedEnd() async -> Item? {
        if core.isClosing.withLock({ $0 }) { return giveUp() }
        do {
            guard let record = try await core.store.record(id) else { return isAccepted.withLock { $0 } ? giveUp() : nil }
            return record.job.state.isTerminal ? .ended(record.job, record.result) : nil
        } catch {
            core.logger.debug("a request's state could not be read: \(error)", metadata: ["job": "\(id)"])
            return nil
        }
    }

    /// Chunks that came through another gateway.
    private func fetchStored() async {
        guard core.store.isShared else { return }
        while let next = core.relays.next(id), let chunks = try? await core.store.chunks(id, from: next, limit: 1000), !chunks.isEmpty {
            _ = core.relays.takeStored(id, chunks)
        }
    }
}
