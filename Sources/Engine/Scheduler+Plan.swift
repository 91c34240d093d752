internal import Step

/// What is left of a step while it is planned.
private struct Budget {
    var tokens: Int
    var promptLogprobRows: Int
    /// Most tokens for one sequence.
    var share: Int
}

extension Scheduler {
    /// Plans the next step into `step`.
    /// - Returns: false if there is nothing to run; `step.exhausted` may still name sequences to end.
    package mutating func plan() -> Bool {
        step.removeAll()
        let isCrowded = running.count + waiting.count > 1
        let cap = isCrowded && limits.chunkedPrefill ? limits.longPrefillTokens ?? (limits.tokensPerStep + 1) / 2 : limits.tokensPerStep
        var budget = Budget(
            tokens: limits.tokensPerStep, promptLogprobRows: limits.promptLogprobRowsPerStep, share: min(cap, limits.tokensPerStep))

        let hasPreempted = planRunning(&budget)
        // What was just taken away is not given to others in the same step.
        if !hasPreempted, step.exhausted.isEmpty { admit(&budget) }
        buildBatch()
        return !step.entries.isEmpty
    }

    /// - Returns: whether anything was preempted.
    private mutating func planRunning(_ budget: inout Budget) -> Bool {
        var hasPreempted = false
        var index = 0
        while index < running.count, budget.tokens > 0 {
            let slot = running[index]
            var count = share(of: slot, from: sequences[Int(slot)].computed, budget)
            if count == 0 {
                index += 1
                continue
            }
            var isReserved = reserve(slot, count)
            while !isReserved {
                if running.count == 1 {
                    // Nobody to take from: smaller steps, then the end.
                    count /= 2
                    if count == 0 {
                        step.exhausted.append(slot)
                        return hasPreempted
                    }
                } else {
                    hasPreempted = true
                    if preemptLast() == slot { return true }
                }
                isReserved = reserve(slot, count)
            }
            schedule(slot, count, &budget)
            index += 1
        }
        return hasPreempted
    }

    private mutating func admit(_ budget: inout Budget) {
        while budget.tokens > 0, running.count < limits.sequences, let slot = nextAdmissible() {
            let index = Int(slot)
            let known = sequences[index].tokens.count
            let usesCache = cache.isPrefixCaching && !sequences[index].needsPromptLogprobs
            let hit = usesCache ? cache.hit(sequences[index].blocks.hashes, limit: (known - 1) / cache.spec.blockSize) : 0
            let cached = hit * cache.spec.blockSize
            var count = share(of: slot, from: cached, budget)
            if count == 0 { return }
            if !limits.chunkedPrefill, count < known - cached, limits.wholeSequences || !sequences[index].needsPromptLogprobs { return }
            let isAlone = running.isEmpty
            if !isAlone, !hasRoom(known, hit: hit, sequences[index].blocks.hashes) { return }

            cache.adopt(hit, into: &sequences[index].blocks)
            sequences[index].computed = cached
            var isReserved = reserve(slot, count)
            while !isReserved, isAlone, count > 1, !limits.wholeSequences {
                count /= 2
                isReserved = reserve(slot, count)
            }
            guard isReserved else {
                cache.release(&sequences[index].blocks)
                sequences[index].computed = 0
                if isAlone { step.exhausted.append(slot) }
                return
            }
            waiting.remove(slot)
            enterRunning(slot)
            if sequences[index].cachedTokens == nil {
                sequences[index].cachedTokens = cached
                sequences[index].tokens.reserveCapacity(known + sequences[index].stop.growth)
                sequences[index].blocks.reserveCapacity(blocks: cache.blocks(covering: known) + 1024 / cache.spec.blockSize + 1)
                step.started.append(slot)
                if usesCache {
                    prefixQueries += UInt64(known)
                    prefixHits += UInt64(cached)
                }
            }
            schedule(slot, count, &budget)
        }
    }

    /// The first in line whose adapter may run beside those of the running sequences.
    private func nextAdmissible() -> Int32? {
        guard let limit = limits.adapters else { return waiting.next }
        let active = Set(running.lazy.map { sequences[Int($0)].adapter }.filter { $0 != 0 })
        if active.count < limit { return waiting.next }
        return waiting.first { sequences[Int($0)].adapter == 0 || active.contains(sequences[Int($0)].adapter) }
    }

    /// Tokens a sequence gets of this step.
    private func share(of slot: Int32, from computed: Int, _ budget: Budget) -> Int {
        let index = Int(slot)
        var count = min(sequences[index].tokens.count - computed, budget.tokens, budget.share)
        if sequences[index].needsPromptLogprobs, !limits.wholeSequences {
            let unreported = max(0, sequences[index].promptLogprobsDone - computed)
            count = min(count, unreported + budget.promptLogprobRows)
        }
        return count
    }

    /// Whether the whole sequence will fit beside what the running ones still need for their known tokens.
    private func hasRoom(_ known: Int, hit: Int, _ hashes: [BlockHash]) -> Bool {
        var needed = cache.capacity.blocks(tokens: known, chunk: limits.tokensPerStep) - cache.sharedBlocks(inHit: hit, hashes)
        needed += Int((Double(cache.capacity.usableBlocks) * limits.watermark).rounded(.up))
        for slot in running {
            let tokens = sequences[Int(slot)].tokens.count
            // A decoding sequence takes one token a step: of a sliding window it needs little more than it holds.
            let chunk = min(limits.tokensPerStep, max(1, tokens - sequences[Int(slot)].computed))
            needed += max(0, cache.capacity.blocks(tokens: tokens, chunk: chunk) - sequences[Int(slot)].blocks.heldCount)
        }
        return needed <= cache.pool.freeCount
    }

    private mutating func reserve(_ slot: Int32, _ count: Int) -> Bool {
        let computed = sequences[Int(slot)].computed
        return cache.reserve(&sequences[Int(slot)].blocks, computed: computed, upTo: computed + count, copies: &step.batch.copies)
    }

    private mutating func schedule(_ slot: Int32, _ count: Int, _ budget: inout Budget) {
        step.entries.append(PlannedStep.Entry(slot: slot, tokens: Int32(count)))
        budget.tokens -= count
        if sequences[Int(slot)].needsPromptLogprobs {
            let first = max(sequences[Int(slot)].computed, sequences[Int(slot)].promptLogprobsDone)
            budget.promptLogprobRows -= max(0, sequences[Int(slot)].computed + count - first)
        }
    }
}
