internal import Jobs
internal import NIOCore
internal import Synchronization

/// Reads an OpenAI request's answer from its mailbox, item by item.
final class AnswerReader: Sendable {
    enum Item: Sendable {
        case chunks([JobChunk])
        case ended(Job, JobResult)
        /// Nothing until the time asked for.
        case silence
        /// Nothing until the request's own deadline.
        case timedOut
        /// The client hung up.
        case gone
    }

    let core: GatewayCore
    let id: JobID
    let endpoint: EndpointID
    let eventLoop: any EventLoop
    private let box: Mailbox<JobNotice>
    private let deadline: NIODeadline
    private struct State {
        var pending: [Item] = []
        var hasSpoken = false
        var gaveUp = false
    }
    private let state = Mutex(State())

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

    var waitedTooLong: String {
        "no answer in time" + (core.endpoints.note(endpoint).map { ": \($0)" } ?? "; the job waited for a worker or ran too long")
    }

    /// One reader at a time.
    func next(until: NIODeadline?) async -> Item {
        while true {
            if let item = state.withLock({ state in state.pending.isEmpty ? nil : state.pending.removeFirst() }) { return item }
            let isSilent = state.withLock { !$0.hasSpoken }
            // Once something came, only silence for ever is too long: the execution timeout ends the job.
            let limit = isSilent ? min(until ?? deadline, deadline) : until ?? .distantFuture
            let notices = await box.take(until: limit, on: eventLoop)
            if notices.isEmpty {
                if box.isClosed { return .gone }
                if isSilent, NIODeadline.now() >= deadline {
                    state.withLock { $0.gaveUp = true }
                    return .timedOut
                }
                return .silence
            }
            await sort(notices)
        }
    }

    private func sort(_ notices: [JobNotice]) async {
        var items: [Item] = []
        var chunks: [JobChunk] = []
        for notice in notices {
            switch notice {
            case .relayed(let fresh): chunks += fresh
            case .changed: continue
            case .poke:
                chunks += await stored()
                if let record = try? await core.store.record(id), record.job.state.isTerminal { items.append(.ended(record.job, record.result)) }
            case .ended(let job, let result):
                chunks += await stored()
                items.append(.ended(job, result))
            }
        }
        if !chunks.isEmpty { items.insert(.chunks(chunks), at: 0) }
        state.withLock { state in
            state.pending += items
            if !chunks.isEmpty { state.hasSpoken = true }
        }
    }

    /// Chunks that came through another gateway.
    private func stored() async -> [JobChunk] {
        guard core.store.isShared, let next = core.relays.next(id), let chunks = try? await core.store.chunks(id, from: next, limit: 10_000) else { return [] }
        return core.relays.takeStored(id, chunks)
    }
}
