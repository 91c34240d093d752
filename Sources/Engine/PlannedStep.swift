package import Step

/// One step as decided by the scheduler. Arrays keep their capacity.
package struct PlannedStep: Sendable {
    /// A sequence's share of the step.
    package struct Entry: Sendable {
        package var slot: Int32
        package var tokens: Int32
    }

    /// A row of logits and what it is for.
    package struct Row: Sendable {
        package var slot: Int32
        /// Position of the token that this row has read; the row predicts the next one.
        package var position: Int32
        /// Report the next prompt token's logprobs.
        package var isPromptLogprobs: Bool
        /// A row of a pooled text.
        package var isPooled = false
        /// Into `draws`; empty for prompt logprobs.
        package var firstDraw: Int32
        package var drawCount: Int32
    }

    /// A token to be sampled from a row. Forks come before the sequence they fork from.
    package struct Draw: Sendable {
        package var slot: Int32
        /// Differs from the slot's own choice for a fork.
        package var choice: Int32
    }

    package internal(set) var batch: StepBatch
    package internal(set) var entries: [Entry] = []
    package internal(set) var rows: [Row] = []
    package internal(set) var draws: [Draw] = []
    /// Sequences admitted for the first time.
    package internal(set) var started: [Int32] = []
    /// Sequences that fill the whole cache alone and cannot go on; the caller ends them.
    package internal(set) var exhausted: [Int32] = []

    init(groupCount: Int) { batch = StepBatch(groupCount: groupCount) }

    mutating func removeAll() {
        batch.removeAll()
        entries.removeAll(keepingCapacity: true)
        rows.removeAll(keepingCapacity: true)
        draws.removeAll(keepingCapacity: true)
        started.removeAll(keepingCapacity: true)
        exhausted.removeAll(keepingCapacity: true)
    }
}

/// What a step has changed.
package struct CommittedStep: Sendable {
    /// A new sequence, forked from another or queued beside it.
    package struct Spawn: Sendable {
        package var slot: Int32
        package var parent: Int32
        package var choice: Int32
    }

    package struct Token: Sendable {
        package var slot: Int32
        /// Into the step's draws; -1 if the sequence only ended, without a token.
        package var draw: Int32
        package var token: Int32
        package var end: SequenceEnd?
    }

    package internal(set) var spawns: [Spawn] = []
    package internal(set) var tokens: [Token] = []

    mutating func removeAll() {
        spawns.removeAll(keepingCapacity: true)
        tokens.removeAll(keepingCapacity: true)
    }
}
