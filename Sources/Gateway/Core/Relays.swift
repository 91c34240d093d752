internal import JSON
package import Jobs
internal import Synchronization
package import WorkerProtocol

/// Streams that run through this gateway to a client that is connected here: chunks go straight from the worker's post to the client's
/// connection, without a turn through the store.
package final class Relays: Sendable {
    private struct Relay {
        let submittedAt: Timestamp
        var worker: WorkerID?
        var attempt = 0
        /// Index of the next chunk.
        var next = 0
        /// Chunks that a worker without numbers has posted in this attempt.
        var posted = 0
        var resume = ResumeState()
        /// Deltas not yet added to `resume`, a line of JSON each: most streams are never continued.
        var unread: [UInt8] = []
        /// Chunks that the client's task has not collected yet, in order, none left out.
        var pending: [JobChunk] = []
        /// Whether every chunk so far came with what another worker needs.
        var isResumable = true
        /// Where chunks leave without the client's task, while that has nothing to write itself.
        var outlet: StreamOutlet?
        var isDirect = false

        /// - Returns: whether the chunk is the next one.
        mutating func add(_ chunk: JobChunk) -> Bool {
            guard chunk.index == next else { return false }
            next += 1
            pending.append(chunk)
            if let delta = chunk.resume {
                unread += delta
                unread.append(UInt8(ascii: "\n"))
            } else {
                isResumable = false
            }
            return true
        }

        /// What of a worker's chunks is new, with final places.
        mutating func take(_ worker: WorkerID, attempt: Int?, _ chunks: [JobChunk], isPlaced: Bool) -> Answer {
            guard self.worker == worker, attempt == nil || attempt == self.attempt else { return .fenced }
            var fresh: [JobChunk] = []
            for var chunk in chunks {
                if !isPlaced {
                    chunk.index = posted
                    posted += 1
                }
                if add(chunk) { fresh.append(chunk) }
            }
            return answer(fresh)
        }

        mutating func takeStored(_ chunks: [JobChunk]) -> Answer {
            var fresh: [JobChunk] = []
            for chunk in chunks {
                if add(chunk) { fresh.append(chunk) }
            }
            return answer(fresh)
        }

        private func answer(_ fresh: [JobChunk]) -> Answer {
            .taken(fresh: fresh, firstFrom: fresh.first?.index == 0 ? submittedAt : nil)
        }

        /// What waits, for the client's task; if that is something, the task has the word until it lets chunks through again.
        mutating func collect() -> [JobChunk] {
            if !pending.isEmpty { isDirect = false }
            defer { pending = [] }
            return pending
        }

        /// - Returns: nil where the client's task has the word.
        mutating func collectDirectly() -> [JobChunk]? {
            guard isDirect else { return nil }
            defer { pending = [] }
            return pending
        }

        /// Adds what came since to `resume`.
        mutating func read() {
            for line in unread.split(separator: UInt8(ascii: "\n")) {
                if let delta = (try? JSONValue(parsing: Array(line))).flatMap(ResumeDelta.init) { resume.add(delta) } else { isResumable = false }
            }
            unread = []
        }
    }

    package enum Answer: Sendable, Equatable {
        /// The client is not connected here.
        case elsewhere
        /// The worker does not have the job (any more).
        case fenced
        /// - fresh: chunks that were new, with their final places.
        /// - firstFrom: when the job was submitted, if its first chunk is among them.
        case taken(fresh: [JobChunk], firstFrom: Timestamp? = nil)
    }

    private let state = Mutex<[JobID: Relay]>([:])

    package init() {}

    package func open(_ id: JobID, submittedAt: Timestamp = .now) { state.withLock { $0[id] = Relay(submittedAt: submittedAt) } }
    package func close(_ id: JobID) { state.withLock { $0[id] = nil } }
    package func has(_ id: JobID) -> Bool { state.withLock { $0[id] != nil } }
    package var count: Int { state.withLock { $0.count } }

    /// The job has been handed to a worker.
    package func begin(_ id: JobID, _ worker: WorkerID, attempt: Int) {
        state.withLock { relays in
            relays[id]?.worker = worker
            relays[id]?.attempt = attempt
            relays[id]?.posted = 0
        }
    }

    /// Where the job stands, for the next worker; nil: at the beginning.
    package func resume(_ id: JobID) -> ResumeState? {
        state.withLock { relays in
            relays[id]?.read()
            guard let relay = relays[id], relay.next > 0, relay.isResumable else { return nil }
            return relay.resume
        }
    }

    /// Whether another worker could go on where this one stopped without the client noticing.
    package func canGoOn(_ id: JobID) -> Bool {
        state.withLock { relays in
            relays[id]?.read()
            guard let relay = relays[id] else { return true }
            return relay.next == 0 || relay.isResumable
        }
    }

    // Each of these changes a relay where it lies: taken out and put back, its arrays would be copied for every chunk.

    /// - Parameter attempt: nil from workers that do not number their chunks.
    package func take(_ id: JobID, _ worker: WorkerID, attempt: Int?, _ chunks: [JobChunk], isPlaced: Bool) -> Answer {
        state.withLock { $0[id]?.take(worker, attempt: attempt, chunks, isPlaced: isPlaced) ?? .elsewhere }
    }

    /// Index of the first chunk that is missing here.
    package func next(_ id: JobID) -> Int? { state.withLock { $0[id]?.next } }

    /// Chunks that the store has: it has judged whose they are. Those that do not follow on what is here are left for `next`.
    package func takeStored(_ id: JobID, _ chunks: [JobChunk]) -> Answer { state.withLock { $0[id]?.takeStored(chunks) ?? .elsewhere } }

    /// What the client has not been sent yet, for its task, which has the word from then on.
    package func collect(_ id: JobID) -> [JobChunk] { state.withLock { $0[id]?.collect() ?? [] } }
}

/// Chunks that go to the client without a turn of its task.
extension Relays {
    func attach(_ outlet: StreamOutlet, to id: JobID) { state.withLock { $0[id]?.outlet = outlet } }
    func outlet(_ id: JobID) -> StreamOutlet? { state.withLock { $0[id]?.outlet } }
    func setDirect(_ id: JobID, _ isDirect: Bool) { state.withLock { $0[id]?.isDirect = isDirect } }

    /// - Returns: nil where the client's task has the word.
    func collectDirectly(_ id: JobID) -> [JobChunk]? { state.withLock { $0[id]?.collectDirectly() } }
}
