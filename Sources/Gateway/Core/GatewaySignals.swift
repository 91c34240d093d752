internal import Jobs
internal import Synchronization

/// What happens in the gateway, passed on to whoever scales, counts or plots. Called often, from any thread; returns at once.
package final class GatewaySignals: Sendable {
    /// Endpoints whose demand or supply has changed: wakes the supervisor.
    let demand = Mailbox<EndpointID>()
    let metrics = GatewayMetrics()
    private let series = Mutex<[EndpointID: TimeSeries]>([:])
    /// Takes over definitions and keys as the store has them now, not the file; set once the gateway is wired up.
    let reloader = Mutex<(@Sendable () async -> String?)?>(nil)
    /// Says that a job with a webhook ended.
    let webhookNudge = Mutex<(@Sendable () -> Void)?>(nil)

    package init() {}

    /// Makes the supervisor look at once.
    func wake() { demand.put(EndpointID("")) }

    /// - Returns: what is wrong with the configuration, if something is: it stays as it was then.
    @discardableResult
    func reload() async -> String? { await reloader.withLock { $0 }?() }

    func series(_ endpoint: EndpointID) -> TimeSeries {
        series.withLock { all in
            if let known = all[endpoint] { return known }
            let fresh = TimeSeries()
            all[endpoint] = fresh
            return fresh
        }
    }

    // MARK: Jobs

    func taken(_ job: Job, at now: Timestamp) {
        let delay = job.delayTime(at: now)
        metrics.taken(job.endpoint, afterMilliseconds: delay)
        series(job.endpoint).recordQueueDelay(milliseconds: delay, at: now)
    }

    func chunks(_ arrivals: ChunkArrivals, of endpoint: EndpointID) {
        guard arrivals.chunkCount > 0 else { return }
        let now = Timestamp.now
        metrics.chunks(endpoint, arrivals.chunkCount, tokens: arrivals.tokenCount)
        let series = series(endpoint)
        series.recordChunks(arrivals.chunkCount, tokens: arrivals.tokenCount, at: now)
        for first in arrivals.firsts {
            metrics.firstToken(endpoint, afterMilliseconds: max(0, now - first))
            series.recordFirstToken(milliseconds: max(0, now - first), at: now)
        }
    }

    func lost(_ job: Job, _ reason: String) {
        if !job.state.isTerminal { metrics.requeued(job.endpoint) }
        demand.put(job.endpoint)
    }

    func ended(_ job: Job) {
        metrics.ended(job.endpoint, job.state, executionMilliseconds: job.takenAt == nil ? nil : job.executionTime(at: .now))
        series(job.endpoint).recordEnd(job.state)
        if job.webhook != nil { webhookNudge.withLock { $0 }?() }
    }

    // MARK: Workers

    func ready(_ record: WorkerRecord) {
        metrics.workerReady(record.endpoint, afterMilliseconds: max(0, (record.readyAt ?? .now) - record.startedAt))
        demand.put(record.endpoint)
    }
}

/// New chunks of an endpoint's jobs, counted.
struct ChunkArrivals {
    private(set) var chunkCount = 0
    private(set) var tokenCount = 0
    /// When those jobs were submitted whose first chunks are among these.
    private(set) var firsts: [Timestamp] = []

    mutating func add(_ chunks: [JobChunk], firstOfJobFrom first: Timestamp?) {
        chunkCount += chunks.count
        tokenCount += chunks.reduce(0) { $0 + $1.tokenCount }
        if let first { firsts.append(first) }
    }
}

extension JobChunk {
    /// Ids in `resume`, counted without making a tree of it: `{"tokens":[[1,2],[3]],…}`.
    var tokenCount: Int {
        guard let resume else { return 0 }
        var count = 0, depth = 0, isInNumber = false
        for byte in resume {
            switch byte {
            case UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "]"):
                depth -= 1
                isInNumber = false
                // The rows are over; what follows are no tokens.
                if depth == 0 { return count }
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if depth == 2, !isInNumber { count += 1 }
                isInNumber = true
            default: isInNumber = false
            }
        }
        return count
    }
}
