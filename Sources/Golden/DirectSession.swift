import Models
import Step

/// Sequences run on a model without an engine: blocks are dealt out in order and never shared. For comparing logits.
struct DirectSession {
    private let runner: DecoderRunner
    private var batch: StepBatch
    private var nextBlock: Int32 = 1
    private var sequences: [Sequence] = []
    /// Of sequences opened from now on: as installed with the runner; 0 for none.
    var adapter: Int32 = 0

    private struct Sequence {
        var length = 0
        var promptLength: Int
        var secondSegment: Int?
        var adapter: Int32
        /// `[groups][logical blocks]`.
        var tables: [[Int32]]
    }

    struct OutOfBlocks: Error, CustomStringConvertible {
        var description: String { "the KV cache is too small for this check" }
    }

    init(_ runner: DecoderRunner) {
        self.runner = runner
        batch = StepBatch(groupCount: runner.kvCache.groups.count)
    }

    /// A new empty sequence. The prompt's length must be known at once: some rotations depend on it.
    /// - Parameter secondSegment: first token of the second text of a pair.
    mutating func open(promptLength: Int, secondSegment: Int? = nil) -> Int {
        sequences.append(
            Sequence(
                promptLength: promptLength, secondSegment: secondSegment, adapter: adapter,
                tables: Array(repeating: [], count: runner.kvCache.groups.count)))
        return sequences.count - 1
    }

    /// Appends tokens to sequences in one step.
    /// - Parameter allRows: logits of every token, else of the last one of each sequence.
    /// - Returns: rows of logits, or of pooled output, in the order of `pieces`.
    mutating func append(_ pieces: [(sequence: Int, tokens: [Int32])], allRows: Bool = false) throws -> [[Float]] {
        batch.removeAll()
        let blockSize = runner.kvCache.blockSize
        for piece in pieces {
            let first = sequences[piece.sequence].length
            sequences[piece.sequence].length += piece.tokens.count
            let length = sequences[piece.sequence].length
            for group in runner.kvCache.groups.indices {
                while sequences[piece.sequence].tables[group].count * blockSize < length {
                    guard Int(nextBlock) < runner.kvCache.blockCount else { throw OutOfBlocks() }
                    sequences[piece.sequence].tables[group].append(nextBlock)
                    nextBlock += 1
                }
            }
            for (offset, token) in piece.tokens.enumerated() {
                let position = first + offset
                batch.tokenIDs.append(token)
                batch.positions.append(Int32(position))
                batch.tokenTypes.append(position < sequences[piece.sequence].secondSegment ?? .max ? 0 : 1)
                if allRows || offset == wantedOffset(piece.tokens.count) {
                    batch.logitRows.append(Int32(batch.tokenIDs.count - 1))
                    if runner.pooled != nil { batch.isTokenRow.append(allRows) }
                }
                for group in runner.kvCache.groups.indices {
                    let block = sequences[piece.sequence].tables[group][position / blockSize]
                    batch.groups[group].slotMapping.append(block * Int32(blockSize) + Int32(position % blockSize))
                }
            }
            batch.queryStarts.append(Int32(batch.tokenIDs.count))
            batch.sequenceLengths.append(Int32(length))
            batch.promptLengths.append(Int32(sequences[piece.sequence].promptLength))
            batch.adapterIDs.append(sequences[piece.sequence].adapter)
        }
        for group in runner.kvCache.groups.indices {
            let width = pieces.map { sequences[$0.sequence].tables[group].count }.max() ?? 0
            batch.groups[group].maxBlocks = width
            for piece in pieces {
                let table = sequences[piece.sequence].tables[group]
                batch.groups[group].blockTables += table + Array(repeating: 0, count: width - table.count)
            }
        }
        let logits = try runner.run(batch)
        let columns = runner.rowWidth
        return (0..<batch.logitRows.count).map { Array(logits[$0 * columns..<($0 + 1) * columns]) }
    }

    /// The token of a piece whose row is asked for.
    private func wantedOffset(_ count: Int) -> Int { runner.pooled?.pooling == .first ? 0 : count - 1 }
}
