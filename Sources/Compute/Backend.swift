package import Step
package import Tensors

/// The verbs that model code is written in. A model says what is computed; a backend says how, where and in which precision.
///
/// One backend instance owns its memory, threads and plan; it is used from one thread at a time. The verbs of a step run between two calls
/// of `beginStep`, in order; a device may run them asynchronously until `logits` hands values to the host.
package protocol Backend: AnyObject {
    /// For logs: "cpu (avx512-bf16, 2 threads)".
    var summary: String { get }

    // MARK: Loading

    /// A matrix `[Σ outputs, inputs]` out of parts stacked along the outputs (fused projections), each `[outputs, inputs]` as stored.
    /// - Parameter biases: one per part, `[outputs]` or nil; empty for none.
    func makeMatrix(_ parts: [TensorView], biases: [TensorView?]) throws -> Matrix
    func makeEmbedding(_ table: TensorView) throws -> EmbeddingTable
    /// Parameters as float32, whatever they are stored in.
    func makeVector(_ values: TensorView) throws -> Vector
    func makeVector(_ values: [Float]) throws -> Vector
    /// Memory for activations, `[rows, columns]`.
    func makeTensor(rows: Int, columns: Int) throws -> Tensor
    func registerRope(_ frequencies: RopeFrequencies) -> RopeHandle
    /// Bytes that one block takes in all layers of the largest group.
    func bytesPerBlock(_ layout: KVCacheLayout) -> Int
    func makeCache(_ layout: KVCacheLayout, blockCount: Int) throws

    // MARK: A step

    /// Takes the batch and computes once what all layers share: rotations, slots, the cut into work items. Copies `batch.copies`.
    func beginStep(_ batch: borrowing StepBatch) throws
    /// `y[t] = scale * table[tokenIDs[t]]`.
    func embed(_ table: EmbeddingTable, scale: Float, into y: Tensor)
    /// `y[t] = table[positions[t] + offset]`; zeros where the table ends.
    func embedPositions(_ table: EmbeddingTable, offset: Int, into y: Tensor)
    /// `y[t] += table[tokenTypes[t]]` for tokens of another type than 0.
    func addTokenTypes(_ table: EmbeddingTable, to y: Tensor)
    /// `y = input Wᵀ + bias`.
    func linear(_ input: LinearInput, _ matrix: Matrix, into y: Tensor)
    /// `y += input Wᵀ + bias`.
    func linear(_ input: LinearInput, _ matrix: Matrix, addingTo y: Tensor)
    /// Rotates queries and keys, writes keys and values to the cache, attends.
    /// - Parameters:
    ///   - projection: `[T, spec.projectionColumns]`: queries, keys, values; changed in place.
    ///   - out: `[T, heads * valueDimension]`.
    func attention(_ projection: Tensor, _ spec: AttentionSpec, into out: Tensor)
    func mixture(_ input: LinearInput, _ mixture: Mixture, into y: Tensor)
    /// `y` may be `x`.
    func norm(_ x: Tensor, _ norm: Norm, into y: Tensor)
    /// `y += scale * x`.
    func add(_ x: Tensor, scale: Float, to y: Tensor)
    /// `y[r] = x[logitRows[r]]`.
    func gatherLogitRows(_ x: Tensor, into y: Tensor)
    /// `y[r]` is the mean of the rows of `x` in the sequence that `logitRows[r]` lies in; rows marked in `isTokenRow` are taken as they are.
    func gatherMeans(_ x: Tensor, into y: Tensor)
    /// Rows to host memory: `[rows, columns]` float32, valid until the next step.
    func output(_ x: Tensor) throws -> UnsafeMutableBufferPointer<Float>
    /// Logits to host memory: `[R, outputs]` float32, valid until the next step.
    /// - Parameters:
    ///   - scale: factor on the logits; `softcap`: `cap * tanh(l / cap)` after it, 0 for none.
    func logits(_ input: LinearInput, _ matrix: Matrix, scale: Float, softcap: Float) throws -> UnsafeMutableBufferPointer<Float>

    /// Runs host work on the backend's threads.
    func parallelFor(_ count: Int, _ body: (Int) -> Void)
}

/// Shape of the KV cache over all layers: what a block holds.
package struct KVCacheLayout: Sendable, Equatable {
    package var groups: [KVCacheGroup]
    /// Layers in each group; a block has room for the largest number.
    package var layersPerGroup: [Int]
    package var blockSize: Int
    package var kvHeads: Int
    package var headDimension: Int
    package var valueDimension: Int

    package init(groups: [KVCacheGroup], layersPerGroup: [Int], blockSize: Int, kvHeads: Int, headDimension: Int, valueDimension: Int) {
        self.groups = groups
        self.layersPerGroup = layersPerGroup
        self.blockSize = blockSize
        self.kvHeads = kvHeads
        self.headDimension = headDimension
        self.valueDimension = valueDimension
    }

    package var layersPerBlock: Int { layersPerGroup.max() ?? 0 }
}

/// Why a backend cannot do what was asked.
package enum BackendError: Error, CustomStringConvertible {
    case outOfMemory(what: String, byteCount: Int)
    case unsupportedWeight(dtype: DType, reason: String)
    case shapeMismatch(String)
    case batchTooLarge(String)

    package var description: String {
        switch self {
        case .outOfMemory(let what, let byteCount): "not enough memory for \(what) (\(byteCount >> 20) MiB)"
        case .unsupportedWeight(let dtype, let reason): "weights of type \(dtype) cannot be used: \(reason)"
        case .shapeMismatch(let text), .batchTooLarge(let text): text
        }
    }
}
