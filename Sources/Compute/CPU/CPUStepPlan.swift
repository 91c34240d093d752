import Glibc
import Step

/// What all layers of a step share, computed once: a copy of the batch, cos/sin of each rotation, and the cut of attention into work items.
struct CPUStepPlan: ~Copyable {
    /// Block tables and slots of one KV cache group.
    final class Group {
        /// `[T]`.
        var slots = StepBuffer<Int64>()
        /// `[S, maxBlocks]`.
        var blockTables = StepBuffer<Int32>()
        var maxBlocks = 0
    }

    /// cos and sin of one rotation, `[T, rotary/2]`.
    final class Rotation {
        var cosines = StepBuffer<Float>()
        var sines = StepBuffer<Float>()
    }

    /// Query tokens of one sequence that one worker takes at a time.
    struct QueryTile {
        var sequence: Int32
        /// Tokens of the batch.
        var begin: Int32
        var end: Int32
    }

    var tokenIDs: [Int32] = []
    var positions: [Int32] = []
    var queryStarts: [Int32] = []
    var sequenceLengths: [Int32] = []
    var promptLengths: [Int32] = []
    var tokenTypes: [Int32] = []
    var logitRows: [Int32] = []
    var isTokenRow: [Bool] = []
    var groups: [Group] = []
    var rotations: [Rotation] = []
    /// Tiles whose sequence is worked on in one go.
    var tiles: [QueryTile] = []
    /// Single-token tiles over a long context, cut into KV splits.
    var splitTiles: [QueryTile] = []

    /// Query tokens in a tile: enough to reuse each loaded key, few enough to balance threads.
    private static let tileTokens = 32

    var tokenCount: Int { tokenIDs.count }

    mutating func copy(_ batch: borrowing StepBatch) {
        tokenIDs.replace(with: batch.tokenIDs)
        positions.replace(with: batch.positions)
        queryStarts.replace(with: batch.queryStarts)
        sequenceLengths.replace(with: batch.sequenceLengths)
        promptLengths.replace(with: batch.promptLengths)
        tokenTypes.replace(with: batch.tokenTypes)
        logitRows.replace(with: batch.logitRows)
        isTokenRow.replace(with: batch.isTokenRow)
        while groups.count < batch.groups.count { groups.append(Group()) }
        for (index, group) in groups.enumerated() {
            let slots = batch.groups[index].slotMapping
            group.slots.resize(to: slots.count)
            for token in slots.indices { group.slots.base[token] = Int64(slots[token]) }
            group.blockTables.replace(with: batch.groups[index].blockTables)
            group.maxBlocks = batch.groups[index].maxBlocks
        }
    }

    /// - Parameters:
    ///   - splitPositions: positions of a KV split of the kernels.
    ///   - parallelism: work items below which long sequences are worth splitting.
    mutating func cutTiles(splitPositions: Int, kvHeads: Int, parallelism: Int) {
        tiles.removeAll(keepingCapacity: true)
        splitTiles.removeAll(keepingCapacity: true)
        let fewItems = sequenceLengths.count * kvHeads < parallelism
        for sequence in sequenceLengths.indices {
            let begin = Int(queryStarts[sequence]), end = Int(queryStarts[sequence + 1])
            if fewItems, end - begin == 1, Int(sequenceLengths[sequence]) > splitPositions {
                splitTiles.append(QueryTile(sequence: Int32(sequence), begin: Int32(begin), end: Int32(end)))
                continue
            }
            for tile in stride(from: begin, to: end, by: Self.tileTokens) {
                tiles.append(QueryTile(sequence: Int32(sequence), begin: Int32(tile), end: Int32(min(end, tile + Self.tileTokens))))
            }
        }
    }

    mutating func reserveRotations(_ ropes: [RopeFrequencies]) {
        while rotations.count < ropes.count { rotations.append(Rotation()) }
        for (rotation, rope) in zip(rotations, ropes) {
            rotation.cosines.resize(to: tokenCount * rope.rotaryDimension / 2)
            rotation.sines.resize(to: tokenCount * rope.rotaryDimension / 2)
        }
    }
}

extension Array where Element: BitwiseCopyable {
    /// The same elements in the memory already held.
    mutating func replace(with other: [Element]) {
        removeAll(keepingCapacity: true)
        append(contentsOf: other)
    }
}

extension RopeFrequencies {
    /// cos and sin of one token, `[rotary/2]` each. Angles are products in float32, as the reference computes them.
    func rotation(position: Int32, textLength: Int, cosines: UnsafeMutablePointer<Float>, sines: UnsafeMutablePointer<Float>) {
        let half = rotaryDimension / 2
        switch rule {
        case .fixed(let frequencies):
            for pair in 0..<half { Self.rotate(Float(position) * frequencies[pair], scale, cosines + pair, sines + pair) }
        case .byLength(let threshold, let short, let shortScale, let long, let longScale):
            let isLong = textLength > threshold
            for pair in 0..<half {
                let angle = Float(position) * (isLong ? long[pair] : short[pair])
                Self.rotate(angle, scale * (isLong ? longScale : shortScale), cosines + pair, sines + pair)
            }
        case .dynamicNTK(let base, let factor, let maxPositions):
            let dimension = Double(rotaryDimension)
            let length = Double(max(textLength, maxPositions))
            let raised = base * pow(factor * length / Double(maxPositions) - (factor - 1), dimension / (dimension - 2))
            for pair in 0..<half {
                let frequency = Float(1 / pow(raised, Double(2 * pair) / dimension))
                Self.rotate(Float(position) * frequency, scale, cosines + pair, sines + pair)
            }
        }
    }

    private static func rotate(_ angle: Float, _ scale: Float, _ cosine: UnsafeMutablePointer<Float>, _ sine: UnsafeMutablePointer<Float>) {
        cosine.pointee = Float(cos(Double(angle))) * scale
        sine.pointee = Float(sin(Double(angle))) * scale
    }
}
