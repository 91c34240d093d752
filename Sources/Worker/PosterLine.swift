internal import Engine

/// What a poster knows of its long post, and what it has sent on it that the gateway has not confirmed.
struct PosterLine: Sendable {
    enum Stage: Sendable {
        case closed
        /// Posts are made singly meanwhile.
        case opening
        case open
        /// Nothing is sent until it is over.
        case ending
    }

    private struct Batch: Sendable {
        var number: Int
        var entries: [PostEntry]
        var byteCount: Int
    }

    /// The gateway takes batches one after another in one request.
    var isOffered = false
    private(set) var stage = Stage.closed
    private(set) var current: LongPost?
    private var sent: [Batch] = []
    private var sentBytes = 0
    private var lastNumber = 0
    /// Since the last batch that asks for an answer.
    private var unasked = (batches: 0, bytes: 0)
    private var overAt = MonotonicTime.now
    /// Seconds from `overAt` on in which it is not tried again.
    private var pause = 0.0
    private var pauses = Backoff(first: 2, longest: 600)

    /// After how many batches, or bytes, the gateway is asked.
    private static let mostUnasked = (batches: 8, bytes: 1 << 18)
    /// Batches without an answer at which what is made piles up into the next: a gateway that is slower than the engine is not to fall behind for long.
    private static let mostBatches = 24

    var isClosed: Bool { stage == .closed }

    /// Whether more may be sent, on it or otherwise.
    var hasRoom: Bool { stage != .ending && sent.count < Self.mostBatches && sentBytes <= BatchPoster.mostBytes }

    /// - Returns: whether one should be opened now.
    func isDue(_ now: MonotonicTime) -> Bool { isOffered && isClosed && now.seconds(since: overAt) >= pause }

    mutating func open(_ line: LongPost) { (stage, current) = (.opening, line) }

    mutating func opened() {
        stage = .open
        pauses.reset()
    }

    mutating func end() { stage = .ending }

    /// Notes what is sent next.
    /// - Returns: its number, and whether the gateway is to answer; nil where it has to go another way.
    mutating func send(_ entries: ArraySlice<PostEntry>) -> (line: LongPost, number: Int, wantsAnswer: Bool)? {
        guard stage == .open, let line = current else { return nil }
        lastNumber += 1
        let byteCount = entries.reduce(0) { $0 + $1.byteCount }
        sent.append(Batch(number: lastNumber, entries: Array(entries), byteCount: byteCount))
        sentBytes += byteCount
        unasked.batches += 1
        unasked.bytes += byteCount
        // The end of a job frees its place when it is confirmed.
        let wantsAnswer = unasked.batches >= Self.mostUnasked.batches || unasked.bytes >= Self.mostUnasked.bytes || entries.contains { $0.partial == nil }
        if wantsAnswer { unasked = (0, 0) }
        return (line, lastNumber, wantsAnswer)
    }

    /// - Returns: what is confirmed with that.
    mutating func confirm(_ number: Int) -> [PostEntry] {
        let count = sent.prefix { $0.number <= number }.count
        let confirmed = sent.prefix(count)
        sent.removeFirst(count)
        sentBytes -= confirmed.reduce(0) { $0 + $1.byteCount }
        return confirmed.flatMap(\.entries)
    }

    /// - Returns: what is to be sent again.
    mutating func over(failed: Bool) -> [PostEntry] {
        let lost = sent.flatMap(\.entries)
        (sent, sentBytes, unasked) = ([], 0, (0, 0))
        (stage, current) = (.closed, nil)
        overAt = .now
        pause = failed ? pauses.next() : 0
        return lost
    }

    mutating func discard(_ serial: JobTable.Serial) {
        for batch in sent.indices {
            for place in sent[batch].entries.indices where sent[batch].entries[place].serial == serial { sent[batch].entries[place].isDiscarded = true }
        }
    }
}
