/// One engine step, flattened: all sequences' new tokens end to end, as vLLM's V1 model runner takes them.
///
/// Axes: `T` tokens of this step, `S` sequences, `R` rows whose logits are wanted, `G` KV cache groups. Sequence `s` owns tokens
/// `queryStarts[s] ..< queryStarts[s + 1]`; they are the last of its `sequenceLengths[s]` tokens. The arrays keep their capacity
/// between steps (`removeAll`), so that a warm step allocates nothing.
package struct StepBatch: Sendable {
    /// `[T]`, ids to embed.
    package var tokenIDs: [Int32] = []
    /// `[T]`, absolute position of each token in its sequence.
    package var positions: [Int32] = []
    /// `[S + 1]`, first token of each sequence, then `T`.
    package var queryStarts: [Int32] = [0]
    /// `[S]`, tokens whose keys and values are in the cache once this step has run (context length including this step).
    package var sequenceLengths: [Int32] = []
    /// `[S]`, tokens of the request's original prompt: rotations that depend on the text's length need it (see `RopeFrequencies`).
    package var promptLengths: [Int32] = []
    /// `[S]`, adapter of each sequence as installed with the runner, 0 for none; may be left empty where no sequence has one.
    package var adapterIDs: [Int32] = []
    /// `[G]`, where each KV cache group keeps the tokens.
    package var groups: [GroupTables] = []
    /// `[T]`, segment of each token (0 the first text of a pair, 1 the second); empty where all are 0.
    package var tokenTypes: [Int32] = []
    /// `[R]`, ascending indices into the `T` rows. A row of a sequence whose rows are pooled by their mean stands for the whole sequence.
    package var logitRows: [Int32] = []
    /// `[R]`, rows that are wanted as they are though the model pools by the mean; empty where there are none.
    package var isTokenRow: [Bool] = []
    /// Whole-block copies to be made before anything is written (copy-on-write).
    package var copies: [BlockCopy] = []

    package init(groupCount: Int) {
        groups = Array(repeating: GroupTables(), count: groupCount)
    }

    package var tokenCount: Int { tokenIDs.count }
    package var sequenceCount: Int { sequenceLengths.count }

    /// Empties the batch, keeping every array's capacity.
    package mutating func removeAll() {
        tokenIDs.removeAll(keepingCapacity: true)
        positions.removeAll(keepingCapacity: true)
        queryStarts.removeAll(keepingCapacity: true)
        queryStarts.append(0)
        sequenceLengths.removeAll(keepingCapacity: true)
        promptLengths.removeAll(keepingCapacity: true)
        tokenTypes.removeAll(keepingCapacity: true)
        adapterIDs.removeAll(keepingCapacity: true)
        logitRows.removeAll(keepingCapacity: true)
        isTokenRow.removeAll(keepingCapacity: true)
        copies.removeAll(keepingCapacity: true)
        for index in groups.indices { groups[index].removeAll() }
    }
}

/// Block tables and slot mapping of one KV cache group.
package struct GroupTables: Sendable {
    /// `[T]`, `block * blockSize + offset`: where each token's key and value go.
    package var slotMapping: [Int32] = []
    /// `[S, maxBlocks]`, physical block of each logical block; entries that fell out of a sliding window or lie past the end are 0 and never read.
    package var blockTables: [Int32] = []
    /// Row length of `blockTables`.
    package var maxBlocks: Int = 0

    package init() {}

    package mutating func removeAll() {
        slotMapping.removeAll(keepingCapacity: true)
        blockTables.removeAll(keepingCapacity: true)
        maxBlocks = 0
    }
}

/// Copy of one physical block, over all layers of its group.
package struct BlockCopy: Sendable, Equatable {
    package var source: Int32
    package var destination: Int32

    package init(source: Int32, destination: Int32) {
        self.source = source
        self.destination = destination
    }
}
