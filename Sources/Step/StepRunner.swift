/// Layers that share one block table: all with full attention, or all with the same sliding window.
package struct KVCacheGroup: Sendable, Equatable {
    /// Tokens a query sees, itself included; nil for full attention.
    package var slidingWindow: Int?

    package init(slidingWindow: Int?) {
        self.slidingWindow = slidingWindow
    }
}

/// How the KV cache is cut into blocks. All groups draw equal-sized blocks from one pool (vLLM's hybrid layout), so a block
/// holds `blockSize` tokens of every layer of one group.
package struct KVCacheSpec: Sendable, Equatable {
    package var groups: [KVCacheGroup]
    /// Tokens per block.
    package var blockSize: Int
    /// Blocks in the pool. Block 0 is the null block: never handed out, never read.
    package var blockCount: Int
    /// Tokens of a prompt from which its keys depend on its length (dynamic rope scaling), so that prefixes are shared only between prompts
    /// of one length; nil where they never do.
    package var lengthDependentBeyond: Int?

    package init(groups: [KVCacheGroup], blockSize: Int, blockCount: Int) {
        self.groups = groups
        self.blockSize = blockSize
        self.blockCount = blockCount
    }
}

/// What executes a step: a model on a backend. Used from one thread at a time.
package protocol StepRunner: AnyObject {
    /// Columns of a row of logits (may exceed the tokenizer's vocabulary).
    var vocabularySize: Int { get }
    var kvCache: KVCacheSpec { get }
    /// What rows are where they are not logits; nil for a model that predicts tokens.
    var pooled: PooledOutput? { get }
    /// A sequence can only be computed in one step (its tokens see later ones, or its rows are pooled together).
    var needsWholeSequences: Bool { get }

    /// Makes `batch.copies` in their order before anything is written (a block freed by one copy may be the next one's destination), then
    /// runs the batch: embeds, writes keys and values to their slots, attends, and projects the wanted rows.
    /// - Returns: float32 logits `[R, rowWidth]`, row-major, owned by the runner, writable, valid until the next call.
    func run(_ batch: borrowing StepBatch) throws -> UnsafeMutableBufferPointer<Float>

    /// Makes an adapter known as `id` (above 0) from the next step on. Takes no time: what is slow was done when the adapter was made.
    func install(_ adapter: any StepAdapter, as id: Int32) throws
    /// Forgets an adapter that no later batch names.
    func removeAdapter(_ id: Int32)

    /// Calls `body(0) … body(count - 1)` on the compute threads and returns when all are done. `body` must not touch shared state.
    func parallelFor(_ count: Int, _ body: @Sendable (Int) -> Void)
}

extension StepRunner {
    package var pooled: PooledOutput? { nil }
    package var needsWholeSequences: Bool { false }
    /// Columns of a row that `run` returns.
    package var rowWidth: Int { pooled?.width ?? vocabularySize }
}
