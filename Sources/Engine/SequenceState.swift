/// When a sequence ends.
package struct StopRules: Sendable, Equatable {
    /// Empty if EOS is ignored.
    package var eos: [Int32] = []
    package var stopIDs: [Int32] = []
    package var minTokens = 0
    package var maxTokens = Int.max
    /// Prompt and output together.
    package var maxLength: Int

    package init(maxLength: Int) { self.maxLength = maxLength }

    /// Output tokens worth making room for in advance.
    var growth: Int { min(1024, max(0, maxTokens)) }

    /// - Parameters: output, length: tokens including `token`.
    package func end(after token: Int32, output: Int, length: Int) -> SequenceEnd? {
        if output >= minTokens {
            if eos.contains(token) { return .eos }
            if stopIDs.contains(token) { return .stopToken(token) }
        }
        if output >= maxTokens { return .maxTokens }
        return length >= maxLength ? .modelLength : nil
    }
}

/// Why a sequence ended by itself.
package enum SequenceEnd: Sendable, Equatable {
    case eos
    case stopToken(Int32)
    case maxTokens
    case modelLength
    /// The text is pooled, which is all that was asked.
    case pooled
    /// Alone, it filled the whole cache.
    case cacheCapacity
}

/// Place in the line: lower runs first and is preempted last.
package struct Rank: Sendable, Comparable {
    package var priority: Int
    /// Number of the request's arrival.
    package var order: UInt64
    package var choice: Int32

    package static func < (a: Rank, b: Rank) -> Bool {
        if a.priority != b.priority { return a.priority < b.priority }
        return a.order != b.order ? a.order < b.order : a.choice < b.choice
    }
}

/// What the scheduler has to know of a new sequence.
package struct NewSequence: Sendable {
    package var prompt: [Int32]
    /// Tokens that count as output though they are computed with the prompt.
    package var outputSoFar: [Int32] = []
    package var blocks: SequenceBlocks
    package var stop: StopRules
    /// 0 under FCFS.
    package var priority = 0
    package var order: UInt64
    /// Choices besides the first, to be forked off after the prompt.
    package var moreChoices = 0
    package var wantsPromptLogprobs = false
    package var pooledRow: PooledRow? = nil
    package var secondSegment: Int? = nil
    /// 0 for none.
    package var adapter: Int32 = 0

    package init(prompt: [Int32], blocks: SequenceBlocks, stop: StopRules, order: UInt64) {
        self.prompt = prompt
        self.blocks = blocks
        self.stop = stop
        self.order = order
    }
}

/// Which rows of a sequence a pooling model is asked for.
package enum PooledRow: Sendable, Equatable {
    case first, last
    /// All of them; the scheduler counts them like rows for prompt log-probabilities.
    case everyToken
}

/// One sequence in the scheduler: it has known and computed tokens, and steps close the gap.
package struct SequenceState: Sendable {
    enum Phase: Sendable { case vacant, waiting, running }

    var phase = Phase.vacant
    package internal(set) var rank: Rank
    /// Prompt, then output.
    package internal(set) var tokens: [Int32]
    package internal(set) var promptCount: Int
    /// Leading tokens whose keys and values are in the cache.
    package internal(set) var computed = 0
    package internal(set) var blocks: SequenceBlocks
    var stop: StopRules
    /// 0 for none.
    package internal(set) var adapter: Int32
    /// Choices still to be forked off.
    var pendingChoices: Range<Int32>
    /// Prompt positions whose logits still have to be reported begin here; `promptCount - 1` when there are none.
    package internal(set) var promptLogprobsDone: Int
    /// Prompt tokens found in the prefix cache on first admission; nil before.
    package internal(set) var cachedTokens: Int? = nil
    package internal(set) var preemptions = 0
    /// nil for a sequence that generates.
    let pooledRow: PooledRow?
    let secondSegment: Int?

    package var outputCount: Int { tokens.count - promptCount }
    var needsPromptLogprobs: Bool { promptLogprobsDone < promptCount - 1 }

    init(_ new: NewSequence) {
        rank = Rank(priority: new.priority, order: new.order, choice: 0)
        tokens = new.prompt + new.outputSoFar
        promptCount = new.prompt.count
        blocks = new.blocks
        stop = new.stop
        adapter = new.adapter
        pendingChoices = 1..<Int32(clamping: 1 + new.moreChoices)
        pooledRow = new.pooledRow
        secondSegment = new.secondSegment
        promptLogprobsDone = new.wantsPromptLogprobs || new.pooledRow == .everyToken ? 0 : new.prompt.count - 1
    }

    /// The output tokens, without a copy.
    func withOutput<Result, Failure: Error>(
        _ body: (UnsafeBufferPointer<Int32>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try tokens.withUnsafeBufferPointer { all throws(Failure) in
            try body(UnsafeBufferPointer(rebasing: all[promptCount...]))
        }
    }
}

/// The waiting sequences in order of rank.
package struct WaitingQueue: Sendable {
    private struct Entry {
        let rank: Rank
        let slot: Int32
    }

    /// Last is next.
    private var entries: [Entry] = []

    package var count: Int { entries.count }
    var next: Int32? { entries.last?.slot }

    mutating func insert(_ slot: Int32, _ rank: Rank) {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if rank < entries[middle].rank { low = middle + 1 } else { high = middle }
        }
        entries.insert(Entry(rank: rank, slot: slot), at: low)
    }

    /// The first in line that `isWanted` takes.
    func first(where isWanted: (Int32) -> Bool) -> Int32? {
        entries.last { isWanted($0.slot) }?.slot
    }

    mutating func remove(_ slot: Int32) {
        // Mostly the next in line.
        if let index = entries.lastIndex(where: { $0.slot == slot }) { entries.remove(at: index) }
    }
}
