package import Jobs
internal import Synchronization

/// What happened at an endpoint in the last 15 minutes, second by second, for the dashboard's plots. Recording takes a lock and changes a few numbers;
/// memory is fixed, about 200 kB once something was recorded.
package final class TimeSeries: Sendable {
    package static let seconds = 900

    private let ring = Mutex(Ring())

    package init() {}

    /// A job was handed out after so long in the queue.
    package func recordQueueDelay(milliseconds: Int, at now: Timestamp = .now) {
        ring.withLock { ring in
            let slot = ring.slot(now)
            Ring.count(&ring.queueDelays, Double(milliseconds), slot)
        }
    }

    /// The first chunk of a job came so long after it was submitted.
    package func recordFirstToken(milliseconds: Int, at now: Timestamp = .now) {
        ring.withLock { ring in
            let slot = ring.slot(now)
            Ring.count(&ring.firstTokens, Double(milliseconds), slot)
        }
    }

    package func recordChunks(_ count: Int, tokens: Int, at now: Timestamp = .now) {
        ring.withLock { ring in
            let slot = ring.slot(now)
            ring.rows[slot].chunks += count
            ring.rows[slot].tokens += tokens
        }
    }

    /// A job ended.
    package func recordEnd(_ state: JobState, at now: Timestamp = .now) {
        ring.withLock { ring in
            let slot = ring.slot(now)
            if state == .completed { ring.rows[slot].completed += 1 } else { ring.rows[slot].failed += 1 }
        }
    }

    /// How things stand; to be called about once a second.
    package func recordLevels(workersUp: Int, inQueue: Int, inProgress: Int, at now: Timestamp = .now) {
        ring.withLock { ring in
            let slot = ring.slot(now)
            ring.rows[slot].levels = Levels(workersUp: workersUp, inQueue: inQueue, inProgress: inProgress)
        }
    }

    /// What was recorded, in steps of `step` seconds; the last one may not be over yet.
    /// - since: leaves out steps that ended before this, for who has them already; nil is all 15 minutes.
    package func points(step: Int = 5, since: Timestamp? = nil, now: Timestamp = .now) -> SeriesPoints {
        let step = max(1, min(step, Self.seconds))
        let last = now.milliseconds / 1000 / step * step
        let oldest = last - Self.seconds + step
        let first = max(oldest, min(last, (since.map { $0.milliseconds / 1000 } ?? oldest) / step * step))
        return ring.withLock { $0.points(from: first, through: last, step: step) }
    }

    fileprivate struct Levels {
        var workersUp: Int
        var inQueue: Int
        var inProgress: Int
    }

    fileprivate struct Row {
        /// Seconds since 1970 that this row is of.
        var second = 0
        var tokens = 0
        var chunks = 0
        var completed = 0
        var failed = 0
        var levels: Levels?
    }
}

/// One row a second; a row is cleared when its turn comes again. Times that jump, back or forth, clear what they land on.
private struct Ring {
    var rows = [TimeSeries.Row](repeating: TimeSeries.Row(), count: TimeSeries.seconds)
    /// `[seconds, LogBins.count]`; empty until something is counted.
    var queueDelays: [UInt16] = []
    var firstTokens: [UInt16] = []

    /// The row of a moment, fresh if it was an older one's.
    mutating func slot(_ now: Timestamp) -> Int {
        let second = max(0, now.milliseconds / 1000)
        let slot = second % TimeSeries.seconds
        if rows[slot].second != second {
            rows[slot] = TimeSeries.Row(second: second)
            Self.clear(&queueDelays, slot)
            Self.clear(&firstTokens, slot)
        }
        return slot
    }

    private static func clear(_ counts: inout [UInt16], _ slot: Int) {
        guard !counts.isEmpty else { return }
        for place in slot * LogBins.count..<(slot + 1) * LogBins.count { counts[place] = 0 }
    }

    static func count(_ counts: inout [UInt16], _ milliseconds: Double, _ slot: Int) {
        if counts.isEmpty { counts = [UInt16](repeating: 0, count: TimeSeries.seconds * LogBins.count) }
        let place = slot * LogBins.count + LogBins.bin(milliseconds)
        if counts[place] < .max { counts[place] += 1 }
    }

    func points(from first: Int, through last: Int, step: Int) -> SeriesPoints {
        var points = SeriesPoints(from: first, step: step)
        var levels: TimeSeries.Levels?
        for start in stride(from: first, through: last, by: step) {
            var delays = [Int](repeating: 0, count: LogBins.count)
            var tokens = delays
            var sum = TimeSeries.Row()
            for second in start..<start + step {
                let slot = second % TimeSeries.seconds
                guard rows[slot].second == second else { continue }
                sum.tokens += rows[slot].tokens
                sum.chunks += rows[slot].chunks
                sum.completed += rows[slot].completed
                sum.failed += rows[slot].failed
                levels = rows[slot].levels ?? levels
                Self.add(queueDelays, slot, to: &delays)
                Self.add(firstTokens, slot, to: &tokens)
            }
            let rate = { (count: Int) in Double(count) / Double(step) }
            points.queueDelayP50.append(LogBins.percentile(0.5, delays))
            points.queueDelayP95.append(LogBins.percentile(0.95, delays))
            points.firstTokenP50.append(LogBins.percentile(0.5, tokens))
            points.firstTokenP95.append(LogBins.percentile(0.95, tokens))
            points.tokensPerSecond.append(rate(sum.tokens))
            points.chunksPerSecond.append(rate(sum.chunks))
            points.completedPerSecond.append(rate(sum.completed))
            points.failedPerSecond.append(rate(sum.failed))
            points.workersUp.append(levels.map { Double($0.workersUp) })
            points.inQueue.append(levels.map { Double($0.inQueue) })
            points.inProgress.append(levels.map { Double($0.inProgress) })
        }
        return points
    }

    private static func add(_ counts: [UInt16], _ slot: Int, to sums: inout [Int]) {
        guard !counts.isEmpty else { return }
        for bin in 0..<LogBins.count { sums[bin] += Int(counts[slot * LogBins.count + bin]) }
    }
}
