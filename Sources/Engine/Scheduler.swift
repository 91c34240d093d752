internal import Step

/// Decides what each step computes. Pure: no device, clock, lock or log, so that tests drive thousands of steps a second.
///
/// Prefill, chunked prefill, prefix hits, decoding and resuming after preemption are one rule: a sequence has known and computed tokens,
/// and each step spends its token budget on closing the gap, first in rank first. Three verbs: `submit`, `plan`, `commit`; `remove` ends
/// a sequence at any time between steps.
package struct Scheduler: Sendable {
    package let limits: SchedulerLimits
    /// Indexed by slot; slots are reused.
    package internal(set) var sequences: [SequenceState] = []
    var vacantSlots: [Int32] = []
    /// In order of rank: the last is the next victim.
    package internal(set) var running: [Int32] = []
    package internal(set) var waiting = WaitingQueue()
    package internal(set) var cache: KVCache
    package internal(set) var step: PlannedStep
    package internal(set) var committed = CommittedStep()

    package internal(set) var preemptions: UInt64 = 0
    /// Tokens looked up in the prefix cache, and found.
    package internal(set) var prefixQueries: UInt64 = 0
    package internal(set) var prefixHits: UInt64 = 0

    package init(limits: SchedulerLimits, cache: KVCache) {
        self.limits = limits
        self.cache = cache
        step = PlannedStep(groupCount: cache.spec.groups.count)
        running.reserveCapacity(limits.sequences)
    }

    package var isIdle: Bool { running.isEmpty && waiting.count == 0 }

    /// Queues a sequence.
    /// - Returns: its slot, valid until `remove`.
    package mutating func submit(_ new: consuming NewSequence) -> Int32 {
        insert(SequenceState(new))
    }

    /// Puts a sequence into a slot and the queue.
    mutating func insert(_ sequence: consuming SequenceState) -> Int32 {
        let rank = sequence.rank
        var sequence = sequence
        sequence.phase = .waiting
        let slot = store(sequence)
        waiting.insert(slot, rank)
        return slot
    }

    mutating func store(_ sequence: consuming SequenceState) -> Int32 {
        if let slot = vacantSlots.popLast() {
            sequences[Int(slot)] = sequence
            return slot
        }
        sequences.append(sequence)
        return Int32(sequences.count - 1)
    }

    /// Ends a sequence and frees its blocks. Not between `plan` and `commit`.
    package mutating func remove(_ slot: Int32) {
        let index = Int(slot)
        switch sequences[index].phase {
        case .vacant: return
        case .waiting: waiting.remove(slot)
        case .running: running.removeAll { $0 == slot }
        }
        cache.release(&sequences[index].blocks)
        sequences[index].phase = .vacant
        sequences[index].tokens = []
        vacantSlots.append(slot)
    }

    package mutating func resetPrefixCache() -> Bool { cache.forgetAll() }

    /// Keeps `running` in order of rank.
    mutating func enterRunning(_ slot: Int32) {
        let rank = sequences[Int(slot)].rank
        var index = running.count
        while index > 0, rank < sequences[Int(running[index - 1])].rank { index -= 1 }
        running.insert(slot, at: index)
        sequences[Int(slot)].phase = .running
    }

    /// Frees the last in rank; it will be computed again, mostly from the prefix cache.
    mutating func preemptLast() -> Int32? {
        guard let slot = running.popLast() else { return nil }
        let index = Int(slot)
        cache.release(&sequences[index].blocks)
        sequences[index].computed = 0
        sequences[index].phase = .waiting
        sequences[index].preemptions += 1
        waiting.insert(slot, sequences[index].rank)
        preemptions += 1
        return slot
    }
}
