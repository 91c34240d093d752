import Step
import Synchronization

/// A language model that is a pure function of what it sees: the whole history through full-attention groups, the last tokens through
/// window groups. A wrong slot, table, copy, hit or eviction anywhere changes its tokens.
struct HashModel: Sendable {
    var groups: [KVCacheGroup]
    var vocabulary = 61

    static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// - Parameter read: token at (group, position).
    func state(at position: Int, read: (Int, Int) throws -> Int32) rethrows -> UInt64 {
        var state: UInt64 = 1
        for (group, kind) in groups.enumerated() {
            let first = kind.slidingWindow.map { max(0, position - $0 + 1) } ?? 0
            for index in first...position {
                state = Self.mix(state ^ UInt64(UInt32(bitPattern: try read(group, index))))
            }
        }
        return state
    }

    func logit(_ state: UInt64, _ token: Int) -> Float {
        Float(Self.mix(state &+ UInt64(token) &* 0xD6E8_FEB8_6659_FD93) >> 40) / Float(1 << 24) * 6
    }

    func best(_ state: UInt64) -> Int32 {
        Int32((0..<vocabulary).max { logit(state, $0) < logit(state, $1) }!)
    }

    /// The greedy continuation, shifted by `choice` so that choices differ; ends after `end` or `limit` tokens.
    func continuation(of prompt: [Int32], limit: Int, end: Int32?, choice: Int32 = 0) -> [Int32] {
        var tokens = prompt
        while tokens.count - prompt.count < limit {
            let next = (best(state(at: tokens.count - 1) { tokens[$1] }) + choice) % Int32(vocabulary)
            tokens.append(next)
            if next == end { break }
        }
        return Array(tokens[prompt.count...])
    }
}

struct RunnerFault: Error, CustomStringConvertible {
    let description: String
}

/// Runs `HashModel` over a fake KV cache that holds token ids, and checks everything it is told.
final class HashRunner: StepRunner {
    let model: HashModel
    let kvCache: KVCacheSpec
    var vocabularySize: Int { model.vocabulary }
    /// `[blocks * blockSize]`: (token, position, adapter) written there; -1 before.
    private var memory: [(token: Int32, position: Int32, adapter: Int32)]
    var adapters = AdapterLog()
    private var logits: UnsafeMutableBufferPointer<Float>
    /// Called before each step; throws to fail it.
    var before: ((borrowing StepBatch) throws -> Void)?
    /// Changes a row after it is computed: (row index, logits).
    var tamper: ((Int, Int32, UnsafeMutableBufferPointer<Float>) -> Void)?
    private(set) var steps = 0
    private(set) var tokensRun = 0
    private(set) var copies = 0
    private(set) var largestStep = 0

    init(model: HashModel, blockSize: Int, blockCount: Int) {
        self.model = model
        kvCache = KVCacheSpec(groups: model.groups, blockSize: blockSize, blockCount: blockCount)
        memory = Array(repeating: (-1, -1, -1), count: blockSize * blockCount)
        logits = .allocate(capacity: model.vocabulary)
    }

    deinit { logits.deallocate() }

    func install(_ adapter: any StepAdapter, as id: Int32) throws {
        guard (adapter as? HashAdapter)?.isGood == true else { throw RunnerFault(description: "a bad adapter") }
        adapters.installed.withLock { _ = $0.insert(id) }
    }

    func removeAdapter(_ id: Int32) { adapters.installed.withLock { _ = $0.remove(id) } }

    func parallelFor(_ count: Int, _ body: @Sendable (Int) -> Void) {
        for index in (0..<count).reversed() { body(index) }
    }

    func run(_ batch: borrowing StepBatch) throws -> UnsafeMutableBufferPointer<Float> {
        try before?(batch)
        steps += 1
        tokensRun += batch.tokenCount
        largestStep = max(largestStep, batch.tokenCount)
        copies += batch.copies.count
        for copy in batch.copies {
            for offset in 0..<kvCache.blockSize {
                memory[Int(copy.destination) * kvCache.blockSize + offset] = memory[Int(copy.source) * kvCache.blockSize + offset]
            }
        }
        try write(batch)
        if logits.count < batch.logitRows.count * model.vocabulary {
            logits.deallocate()
            logits = .allocate(capacity: batch.logitRows.count * model.vocabulary)
        }
        try computeRows(batch)
        return logits
    }

    private func write(_ batch: borrowing StepBatch) throws {
        var written: Set<Int32> = []
        for group in batch.groups {
            guard group.slotMapping.count == batch.tokenCount else { throw RunnerFault(description: "slot mapping is too short") }
            var sequence = 0
            for token in 0..<batch.tokenCount {
                while Int(batch.queryStarts[sequence + 1]) <= token { sequence += 1 }
                let slot = group.slotMapping[token]
                guard slot >= kvCache.blockSize else { throw RunnerFault(description: "a token goes to the null block") }
                guard written.insert(slot).inserted else { throw RunnerFault(description: "slot \(slot) is written twice") }
                memory[Int(slot)] = (batch.tokenIDs[token], batch.positions[token], batch.adapterIDs[sequence])
            }
        }
    }

    private func computeRows(_ batch: borrowing StepBatch) throws {
        var row = 0
        for sequence in 0..<batch.sequenceCount {
            let range = Int(batch.queryStarts[sequence])..<Int(batch.queryStarts[sequence + 1])
            let length = Int(batch.sequenceLengths[sequence])
            guard !range.isEmpty, Int(batch.positions[range.upperBound - 1]) == length - 1,
                Int(batch.positions[range.lowerBound]) == length - range.count
            else { throw RunnerFault(description: "positions do not end the sequence") }
            let adapter = batch.adapterIDs[sequence]
            guard adapter == 0 || adapters.installed.withLock({ $0.contains(adapter) }) else {
                throw RunnerFault(description: "adapter \(adapter) is not installed")
            }
            // The step's first token sees most of a window: check it always, so that no chunk goes unread.
            _ = try state(batch, sequence, Int(batch.positions[range.lowerBound]))
            while row < batch.logitRows.count, Int(batch.logitRows[row]) < range.upperBound {
                let position = Int(batch.positions[Int(batch.logitRows[row])])
                let state = try state(batch, sequence, position) &+ UInt64(adapter)
                let base = row * model.vocabulary
                for token in 0..<model.vocabulary { logits[base + token] = model.logit(state, token) }
                tamper?(row, batch.tokenIDs[range.lowerBound], UnsafeMutableBufferPointer(rebasing: logits[base..<base + model.vocabulary]))
                row += 1
            }
        }
        guard row == batch.logitRows.count else { throw RunnerFault(description: "a wanted row belongs to no sequence") }
    }

    private func state(_ batch: borrowing StepBatch, _ sequence: Int, _ position: Int) throws -> UInt64 {
        let groups = batch.groups
        return try model.state(at: position) { group, index in
            let table = groups[group]
            let block = table.blockTables[sequence * table.maxBlocks + index / kvCache.blockSize]
            guard block > 0 else { throw RunnerFault(description: "position \(index) of group \(group) has no block") }
            let entry = memory[Int(block) * kvCache.blockSize + index % kvCache.blockSize]
            guard entry.position == index else {
                throw RunnerFault(description: "position \(index) of group \(group) reads back position \(entry.position)")
            }
            guard entry.adapter == batch.adapterIDs[sequence] else {
                throw RunnerFault(description: "adapter \(batch.adapterIDs[sequence]) reads what adapter \(entry.adapter) wrote")
            }
            return entry.token
        }
    }
}

/// An adapter that shifts the model's state by its number.
final class HashAdapter: StepAdapter {
    let isGood: Bool
    init(isGood: Bool = true) { self.isGood = isGood }
}

/// Adapters that the runner knows, to be looked at from outside.
final class AdapterLog: Sendable {
    let installed = Mutex<Set<Int32>>([])
}

/// SplitMix64, so that every random test replays from its printed seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return HashModel.mix(state)
    }
}
