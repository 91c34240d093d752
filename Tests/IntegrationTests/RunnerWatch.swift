import Step
import Synchronization

/// What the steps looked like that the engine made.
final class RunnerWatch: Sendable {
    struct Figures: Sendable {
        var steps = 0
        var mostSequences = 0
        var mostTokens = 0
        /// Steps that computed part of one prompt beside another sequence's token.
        var mixedSteps = 0
        var copies = 0
        /// `[groups]`: most blocks that one sequence held in a step.
        var mostBlocks: [Int] = []
        /// Most rows of logits in a step.
        var mostRows = 0
    }

    private let state = Mutex(Figures())
    var figures: Figures { state.withLock { $0 } }

    func note(_ batch: borrowing StepBatch) {
        let sequences = batch.sequenceCount, tokens = batch.tokenCount, copies = batch.copies.count, rows = batch.logitRows.count
        let held = batch.groups.map { group in
            var most = 0
            for sequence in 0..<sequences {
                let table = group.blockTables[sequence * group.maxBlocks..<(sequence + 1) * group.maxBlocks]
                most = max(most, table.count { $0 != 0 })
            }
            return most
        }
        state.withLock { state in
            state.steps += 1
            state.mostSequences = max(state.mostSequences, sequences)
            state.mostTokens = max(state.mostTokens, tokens)
            state.mostRows = max(state.mostRows, rows)
            if sequences > 1, tokens > sequences { state.mixedSteps += 1 }
            state.copies += copies
            if state.mostBlocks.isEmpty { state.mostBlocks = held }
            for group in held.indices { state.mostBlocks[group] = max(state.mostBlocks[group], held[group]) }
        }
    }
}

/// The real runner, looked at from outside.
final class WatchedRunner: StepRunner {
    private let runner: any StepRunner
    private let watch: RunnerWatch

    init(_ runner: any StepRunner, _ watch: RunnerWatch) {
        self.runner = runner
        self.watch = watch
    }

    var vocabularySize: Int { runner.vocabularySize }
    var kvCache: KVCacheSpec { runner.kvCache }

    func run(_ batch: borrowing StepBatch) throws -> UnsafeMutableBufferPointer<Float> {
        watch.note(batch)
        return try runner.run(batch)
    }

    func parallelFor(_ count: Int, _ body: @Sendable (Int) -> Void) { runner.parallelFor(count, body) }
}
