internal import Step

extension Scheduler {
    /// Closes the step: what was planned is computed, and `tokens` were drawn. Fills `committed`; the caller removes what has ended.
    /// - Parameter tokens: one per draw; negative if the draw failed, which the caller answers by removing the sequence.
    package mutating func commit(_ tokens: [Int32]) {
        committed.removeAll()
        for entry in step.entries {
            let index = Int(entry.slot)
            sequences[index].computed += Int(entry.tokens)
            let computed = sequences[index].computed
            if sequences[index].needsPromptLogprobs {
                sequences[index].promptLogprobsDone = max(
                    sequences[index].promptLogprobsDone, min(computed, sequences[index].promptCount - 1))
            }
            cache.offer(&sequences[index].blocks, tokens: sequences[index].tokens, computed: computed)
            if computed == sequences[index].tokens.count, sequences[index].stop.maxTokens <= 0 {
                committed.tokens.append(CommittedStep.Token(slot: entry.slot, draw: -1, token: -1, end: sequences[index].pooledRow == nil ? .maxTokens : .pooled))
            }
        }
        for draw in 0..<step.draws.count { commit(tokens[draw], draw) }
    }

    private mutating func commit(_ token: Int32, _ draw: Int) {
        let planned = step.draws[draw]
        var slot = planned.slot
        if planned.choice != sequences[Int(slot)].rank.choice {
            slot = fork(slot, choice: planned.choice)
            committed.spawns.append(CommittedStep.Spawn(slot: slot, parent: planned.slot, choice: planned.choice))
        } else if !sequences[Int(slot)].pendingChoices.isEmpty {
            queuePendingChoices(of: slot)
        }
        if token < 0 { return }
        let index = Int(slot)
        sequences[index].tokens.append(token)
        let end = sequences[index].stop.end(after: token, output: sequences[index].outputCount, length: sequences[index].tokens.count)
        committed.tokens.append(CommittedStep.Token(slot: slot, draw: Int32(draw), token: token, end: end))
    }

    /// A second sequence over all of the first one's blocks, running at once.
    private mutating func fork(_ slot: Int32, choice: Int32) -> Int32 {
        let shared = cache.share(sequences[Int(slot)].blocks)
        var sequence = sequences[Int(slot)]
        sequence.blocks = shared
        sequence.rank.choice = choice
        sequence.pendingChoices = 0..<0
        sequence.preemptions = 0
        sequence.tokens.reserveCapacity(sequence.tokens.count + sequence.stop.growth)
        sequences[Int(slot)].pendingChoices = (choice + 1)..<sequences[Int(slot)].pendingChoices.upperBound
        let new = store(sequence)
        enterRunning(new)
        return new
    }

    /// Choices for which there was no place: they wait like any other and mostly find the prompt in the prefix cache.
    private mutating func queuePendingChoices(of slot: Int32) {
        let choices = sequences[Int(slot)].pendingChoices
        sequences[Int(slot)].pendingChoices = 0..<0
        for choice in choices {
            var sequence = sequences[Int(slot)]
            sequence.blocks = SequenceBlocks(
                groupCount: cache.spec.groups.count, hashes: sequence.blocks.hashes, root: sequence.blocks.root)
            sequence.computed = 0
            sequence.rank.choice = choice
            sequence.preemptions = 0
            let new = insert(sequence)
            committed.spawns.append(CommittedStep.Spawn(slot: new, parent: slot, choice: choice))
        }
    }
}
