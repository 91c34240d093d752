package import Jobs
internal import Synchronization
internal import WorkerProtocol

/// Brings waiting jobs and waiting workers together.
///
/// Its lists are hints: who gets a job is decided by the store, and what is found to be wrong is dropped. Nothing here waits; what a match sets off
/// is started by the caller with `matches`.
package final class Dispatcher: Sendable {
    /// A worker's open request for jobs.
    package struct Poll: Sendable {
        package let id: Int
        package let worker: WorkerID
        package let endpoint: EndpointID
        /// Jobs wanted at most.
        package var wanted: Int
        package let box: Mailbox<PollAnswer>
    }

    package enum PollAnswer: Sendable {
        case jobs([HandOut])
        /// Nothing to be had: answer 204.
        case nothing
    }

    /// A job on its way to a worker.
    package struct HandOut: Sendable {
        package var job: Job
        /// JSON text of the job as the worker gets it.
        package var message: [UInt8]
    }

    package struct Match: Sendable {
        package var poll: Poll
        package var jobs: [QueuedJob]
    }

    struct State {
        var queues: [EndpointID: QueueMirror] = [:]
        var polls: [EndpointID: [Poll]] = [:]
        var workers: [WorkerID: WorkerSeat] = [:]
        var stopWaiters: [WorkerID: Mailbox<[JobID]>] = [:]
        var maxConcurrency: [EndpointID: Int] = [:]
        var nextPoll = 0
        /// Workers that were removed a moment ago: the store's list may have been read before.
        var removed: [WorkerID: Timestamp] = [:]
        /// What came and went while the store was being read.
        var reads: [Int: QueueRead] = [:]
        var nextRead = 0

        mutating func left(_ id: JobID) { for key in reads.keys { reads[key]?.left.insert(id) } }
        mutating func entered(_ id: JobID) { for key in reads.keys { reads[key]?.entered.insert(id) } }
    }

    /// Jobs that entered or left the mirror since a reading of the queue began: what was read of them is out of date.
    struct QueueRead {
        var entered: Set<JobID> = []
        var left: Set<JobID> = []
    }

    /// Bytes of input kept in memory for one endpoint's waiting jobs.
    package static let payloadBudget = 64 << 20

    let state = Mutex(State())

    package init() {}

    // MARK: Queue

    /// A job that this gateway has put into the queue.
    /// - Returns: hand-outs that this makes possible.
    package func enqueue(_ job: QueuedJob, toFront: Bool = false) -> [Match] { state.withLock { Self.enqueue(job, toFront: toFront, &$0) } }

    /// A job that was read from the store, where another gateway has put it into the queue: whoever had it before has it no more. One that
    /// a worker has all the same is being handed out already (`attempts`).
    package func learn(_ job: Job, at now: Timestamp) -> [Match] {
        state.withLock { state in
            Self.release(formerAttemptsOf: job, at: now, &state)
            if state.workers.values.contains(where: { $0.held[job.id] != nil }) { return [] }
            return Self.enqueue(QueuedJob(job: job), toFront: false, &state)
        }
    }

    private static func enqueue(_ job: QueuedJob, toFront: Bool, _ state: inout State) -> [Match] {
        var job = job
        if state.queues[job.job.endpoint, default: QueueMirror()].payloadByteCount > payloadBudget { job.payload = nil }
        state.queues[job.job.endpoint, default: QueueMirror()].push(job, toFront: toFront)
        state.entered(job.id)
        return match(job.job.endpoint, &state)
    }

    /// The attempts that workers here have. A job that waits with fewer, by the store's word, is just being handed out, and the store did not know of it
    /// when it was read. Handed out again, to the same worker, it would be taken for a hand-out whose answer was lost, and be done twice.
    private static func attempts(_ endpoint: EndpointID, _ state: State) -> [JobID: Int] {
        var attempts: [JobID: Int] = [:]
        for seat in state.workers.values where seat.record.endpoint == endpoint {
            for (id, held) in seat.held { attempts[id] = max(held.attempt, attempts[id, default: 0]) }
        }
        return attempts
    }

    /// For a job that is not in the store yet, the poll of a worker that waits for one, provided that no other job waits: the worker holds it from now on.
    package func claimPoll(for job: QueuedJob) -> Poll? {
        state.withLock { state in
            let endpoint = job.job.endpoint
            guard state.polls[endpoint]?.isEmpty == false, (state.queues[endpoint]?.count ?? 0) == 0 else { return nil }
            state.queues[endpoint, default: QueueMirror()].push(job)
            state.entered(job.id)
            if let match = Self.match(endpoint, &state).first { return match.poll }
            state.queues[endpoint]?.remove(job.id)
            state.left(job.id)
            return nil
        }
    }

    package func dequeue(_ id: JobID, _ endpoint: EndpointID) {
        state.withLock { state in
            state.queues[endpoint]?.remove(id)
            state.left(id)
        }
    }

    /// To be called before the store's queue is read for `resynchronise`.
    package func beginRead() -> Int {
        state.withLock { state in
            state.nextRead += 1
            state.reads[state.nextRead] = QueueRead()
            return state.nextRead
        }
    }

    /// Makes the mirror hold what the store holds, but for what has changed since the reading began.
    /// - Parameters:
    ///   - read: from `beginRead`.
    ///   - jobs: those that wait, oldest first; nil: they could not be read.
    ///   - isComplete: whether these are all.
    package func resynchronise(_ endpoint: EndpointID, _ jobs: [Job]?, isComplete: Bool, read: Int) -> [Match] {
        state.withLock { state in
            let since = state.reads.removeValue(forKey: read) ?? QueueRead()
            guard let jobs else { return [] }
            var queue = state.queues[endpoint] ?? QueueMirror()
            if isComplete {
                let waiting = Set(jobs.map(\.id)).union(since.entered)
                for id in queue.ids where !waiting.contains(id) { queue.remove(id) }
            }
            let held = Self.attempts(endpoint, state)
            for job in jobs where !since.left.contains(job.id) && held[job.id, default: 0] <= job.attempt { queue.push(QueuedJob(job: job)) }
            state.queues[endpoint] = queue
            return Self.match(endpoint, &state)
        }
    }

    // MARK: Polls

    /// - Returns: nil where the worker must not have jobs.
    package func openPoll(_ worker: WorkerID, _ endpoint: EndpointID, wanted: Int) -> (poll: Poll, matches: [Match])? {
        state.withLock { state in
            guard let seat = state.workers[worker], seat.isOpen else { return nil }
            state.workers[worker]?.largestBatch = max(seat.largestBatch, wanted)
            state.nextPoll += 1
            let poll = Poll(id: state.nextPoll, worker: worker, endpoint: endpoint, wanted: wanted, box: Mailbox())
            state.polls[endpoint, default: []].append(poll)
            return (poll, Self.match(endpoint, &state))
        }
    }

    /// Puts a poll back whose jobs turned out to be taken.
    package func reopen(_ poll: Poll) -> [Match] {
        state.withLock { state in
            state.polls[poll.endpoint, default: []].append(poll)
            return Self.match(poll.endpoint, &state)
        }
    }

    /// - Returns: whether the poll was still waiting; if not, an answer is on its way to its box.
    package func closePoll(_ poll: Poll) -> Bool {
        state.withLock { state in
            guard let place = state.polls[poll.endpoint]?.firstIndex(where: { $0.id == poll.id }) else { return false }
            state.polls[poll.endpoint]?.remove(at: place)
            return true
        }
    }

    /// Answers a worker's open polls with nothing: it is being stopped.
    package func dismissPolls(of worker: WorkerID) {
        let polls = state.withLock { state -> [Poll] in
            guard let endpoint = state.workers[worker]?.record.endpoint else { return [] }
            let gone = state.polls[endpoint]?.filter { $0.worker == worker } ?? []
            state.polls[endpoint]?.removeAll { $0.worker == worker }
            return gone
        }
        for poll in polls { poll.box.put(.nothing) }
        state.withLock { $0.stopWaiters[worker] }?.put([])
    }

    private static func match(_ endpoint: EndpointID, _ state: inout State) -> [Match] {
        guard var polls = state.polls[endpoint], !polls.isEmpty, (state.queues[endpoint]?.count ?? 0) > 0 else { return [] }
        let limit = state.maxConcurrency[endpoint]
        var given: [Int: [QueuedJob]] = [:]
        let now = Timestamp.now
        while true {
            var candidates: [PrefixRouter.Candidate] = []
            for (place, poll) in polls.enumerated() {
                guard let seat = state.workers[poll.worker], seat.isOpen, (given[poll.id]?.count ?? 0) < poll.wanted else { continue }
                if let limit, seat.held.count >= limit { continue }
                candidates.append(.init(worker: poll.worker, load: seat.held.count, matched: 0, place: place))
            }
            guard !candidates.isEmpty, let job = state.queues[endpoint]?.pop() else { break }
            state.left(job.id)
            if !job.job.prefix.isEmpty, candidates.count > 1 {
                for index in candidates.indices {
                    candidates[index].matched = state.workers[candidates[index].worker]?.seen.matched(job.job.prefix) ?? 0
                }
            }
            guard let chosen = PrefixRouter.choose(candidates) else { break }
            let poll = polls[chosen.place]
            given[poll.id, default: []].append(job)
            // Held from now on: its worker is not idle, and a cancel finds it.
            state.workers[poll.worker]?.held[job.id] = .init(
                attempt: job.job.attempt + 1, takenAt: now, deadline: nil, origin: job.job.origin, isLowPriority: job.job.policy.lowPriority)
            state.workers[poll.worker]?.refreshState(at: now)
            if !job.job.prefix.isEmpty { state.workers[poll.worker]?.seen.add(job.job.prefix) }
        }
        let matches = polls.compactMap { poll in given[poll.id].map { Match(poll: poll, jobs: $0) } }
        polls.removeAll { given[$0.id] != nil }
        state.polls[endpoint] = polls
        return matches
    }

    // MARK: Figures

    package struct QueueFigures: Sendable {
        package var inQueue = 0
        package var lowPriority = 0
        package var oldestQueuedAt: Timestamp?
    }

    package func figures(_ endpoint: EndpointID) -> QueueFigures {
        state.withLock { state in
            guard let queue = state.queues[endpoint] else { return QueueFigures() }
            return QueueFigures(inQueue: queue.count, lowPriority: queue.lowPriorityCount, oldestQueuedAt: queue.oldestQueuedAt)
        }
    }

    package func setMaxConcurrency(_ limits: [EndpointID: Int]) { state.withLock { $0.maxConcurrency = limits } }
}
