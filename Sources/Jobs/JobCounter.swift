/// Figures that stores keep for each endpoint, so that `counts` need not count. The raw value is what is stored: never renumber.
package enum JobCounter: Int, Sendable, CaseIterable {
    case inQueue = 0
    case lowPriorityInQueue = 1
    case inProgress = 2
    case completed = 3
    case failed = 4
    case cancelled = 5
    case timedOut = 6
    case retried = 7
    case workerMilliseconds = 8
}

/// What a transaction adds to counters, summed up so that each counter is written once.
package struct CounterTally: Sendable, Equatable {
    package struct Key: Hashable, Comparable, Sendable {
        package let endpoint: EndpointID
        package let counter: JobCounter

        package static func < (a: Self, b: Self) -> Bool { (a.endpoint, a.counter.rawValue) < (b.endpoint, b.counter.rawValue) }
    }

    package private(set) var deltas: [Key: Int] = [:]

    package init() {}

    package var isEmpty: Bool { deltas.isEmpty }
    /// In an order that all transactions share, zeros left out.
    package var sorted: [(key: Key, delta: Int)] { deltas.filter { $0.value != 0 }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }

    package mutating func add(_ delta: Int, _ counter: JobCounter, _ endpoint: EndpointID) {
        deltas[Key(endpoint: endpoint, counter: counter), default: 0] += delta
    }

    /// A job came (`before` is nil), went (`after` is nil) or changed.
    package mutating func note(_ before: Job?, _ after: Job?) {
        if let before { gauge(before, -1) }
        if let after { gauge(after, 1) }
    }

    package mutating func note(_ change: JobMachine.Change, of job: Job) {
        if change.lost { add(1, .retried, job.endpoint) }
        guard change.ended else { return }
        switch job.state {
        case .completed: add(1, .completed, job.endpoint)
        case .failed: add(1, .failed, job.endpoint)
        case .cancelled: add(1, .cancelled, job.endpoint)
        case .timedOut: add(1, .timedOut, job.endpoint)
        case .inQueue, .inProgress: break
        }
    }

    private mutating func gauge(_ job: Job, _ sign: Int) {
        switch job.state {
        case .inQueue:
            add(sign, .inQueue, job.endpoint)
            if job.policy.lowPriority { add(sign, .lowPriorityInQueue, job.endpoint) }
        case .inProgress: add(sign, .inProgress, job.endpoint)
        case .completed, .failed, .cancelled, .timedOut: break
        }
    }
}

extension JobCounts {
    package mutating func add(_ value: Int, _ counter: JobCounter) {
        switch counter {
        case .inQueue: inQueue += value
        case .lowPriorityInQueue: lowPriorityInQueue += value
        case .inProgress: inProgress += value
        case .completed: completed += value
        case .failed: failed += value
        case .cancelled: cancelled += value
        case .timedOut: timedOut += value
        case .retried: retried += value
        case .workerMilliseconds: workerMilliseconds += value
        }
    }
}
