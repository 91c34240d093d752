package import Step
package import Tensors

/// The verbs that model code is written in. A model says what is computed; a backend says how, where and in which precision.
///
/// One backend instance owns its memory, threads and plan; it is used from one thread at a time. The verbs of a step run between two calls
/// of `beginStep`, in order; a device may run them asynchronously until `logits` hands values to the host.
package protocol Backend: AnyObject {
    /// For logs: "cpu (avx512-bf16, 2 threads)".
    var summary: String { get }
    /// What is multiplied on a slow path, and why, of the matrices made so far: "3 matrices: …".
    var fallbacks: [String] { get }

    // MARK: Loading

    /// A matrix `[Σ outputs, inputs]` out of parts stacked along the outputs (fused projections), each `[outputs, inputs]` as stored.
    /// - Parameter biases: one per part, `[outputs]` or nil; empty for none.
    func makeMatrix(_ parts: [StoredWeight], biases: [TensorView?]) throws -> Matrix
    /// One small matrix a head, each `[outputs, inputs]` as stored, or its transpose where `transposed`.
    func makeHeadMatrices(_ heads: [StoredWeight], transposed: Bool) throws -> HeadMatrices
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

    // MARK: Adapters

    /// Where adapters can attach: the modules of all matrices made so far.
    var adapterTargets: [AdapterTarget] { get }
    /// Makes an adapter known as `id` (above 0) to the steps that follow. All its modules must be targets of these shapes.
    func install(_ adapter: LowRankAdapter, as id: Int32) throws
    /// Forgets an adapter that no later batch names.
    func removeAdapter(_ id: Int32)

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
    /// `y = Σ weight[k] * expert[k](input)` over the experts that each token chooses, plus the shared expert.
    /// - Parameter input: `.plain` or `.normed`, `[T, hidden]`; `y` is another tensor.
    func mixture(_ input: LinearInput, _ mixture: Mixture, into y: Tensor)
    /// Rotates queries and keys, writes keys and values to the cache, attends.
    /// - Parameters:
    ///   - projection: `[T, spec.projectionColumns]`: queries, their gates if any, keys, values; changed in place.
    ///   - out: `[T, heads * valueDimension]`.
    func attention(_ projection: Tensor, _ spec: AttentionSpec, into out: Tensor)
    /// Multi-head latent attention: norms and rotates the latents, writes them to the cache, rotates the queries' rotary parts, attends.
    /// - Parameters:
    ///   - queries: `[T, heads * rank]`, in the space of the latents.
    ///   - rotary: the `spec.rotary` elements of each query head that are rotated; changed in place.
    ///   - latents: `[T, rank + rotary]`; changed in place.
    ///   - out: `[T, heads * rank]`, mixtures of latents; may be `queries`.
    func latentAttention(_ queries: Tensor, rotary: HeadColumns, latents: Tensor, _ spec: LatentAttentionSpec, into out: Tensor)
    /// Gated short convolution; the last inputs are kept in the cache.
    /// - Parameters:
    ///   - projection: `[T, 3 * channels]`: `[B; C; x]`; changed in place.
    ///   - out: `[T, channels]`.
    func shortConvolution(_ projection: Tensor, _ spec: ShortConvolutionSpec, into out: Tensor)
    /// Gated delta net, token by token; the convolution's last inputs and the states are kept in the cache.
    /// - Parameters:
    ///   - projection: `[T, spec.shape.projectionColumns]`.
    ///   - out: `[T, valueHeads * valueDimension]`, normed and gated.
    func deltaNet(_ projection: Tensor, _ spec: DeltaNetSpec, into out: Tensor)
    /// `y[t, h] = x[t, h] W[h]ᵀ`: each head's columns by a matrix of their own.
    func linearPerHead(_ x: HeadColumns, _ matrices: HeadMatrices, into y: HeadColumns)
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

extension Backend {
    /// A matrix out of parts of plain or GGUF types.
    package func makeMatrix(_ parts: [TensorView], biases: [TensorView?]) throws -> Matrix {
        try makeMatrix(parts.map(StoredWeight.dense), biases: biases)
    }
}

/// What one layer keeps in its page of a block: something of each of the block's tokens, or the state after the last of them.
package enum KVPage: Sendable, Hashable {
    /// A key and a value for each KV head.
    case heads(kvHeads: Int, headDimension: Int, valueDimension: Int)
    /// One latent of `rank` elements and a rotated part, shared by all heads (multi-head latent attention).
    case latent(rank: Int, rotary: Int)
    /// float32 numbers that sum up the text so far, after the last token of the block that has been computed.
    case state(elements: Int)
}

/// Shape of the KV cache over all layers: what a block holds.
package struct KVCacheLayout: Sendable, Equatable {
    package var groups: [KVCacheGroup]
    /// Layers in each group; a block has room for the largest number.
    package var layersPerGroup: [Int]
    package var blockSize: Int
    /// What the layers keep, each kind once: a block gives every layer the room of the largest.
    package var pages: [KVPage]

    package init(groups: [KVCacheGroup], layersPerGroup: [Int], blockSize: Int, pages: [KVPage]) {
        self.groups = groups
        self.layersPerGroup = layersPerGroup
        self.blockSize = blockSize
        self.pages = pages
    }

    /// All layers with the same heads.
    package init(groups: [KVCacheGroup], layersPerGroup: [Int], blockSize: Int, kvHeads: Int, headDimension: Int, valueDimension: Int) {
        self.init(
            groups: groups, layersPerGroup: layersPerGroup, blockSize: blockSize,
            pages: [.heads(kvHeads: kvHeads, headDimension: headDimension, valueDimension: valueDimension)])
    }

    package var layersPerBlock: Int { layersPerGroup.max() ?? 0 }

    /// KV heads of the attention layer that has the fewest; a latent is one.
    package var fewestHeads: Int {
        // A loop: each step asks, and may not allocate.
        var fewest = Int.max
        for page in pages {
            switch page {
            case .heads(let kvHeads, _, _): fewest = min(fewest, kvHeads)
            case .latent: fewest = 1
            case .state: break
            }
        }
        return fewest == Int.max ? 1 : fewest
    }
}

/// Why a backend cannot do what was asked.
package enum BackendError: Error, CustomStringConvertible {
    case outOfMemory(what: String, byteCount: Int)
    case unsupportedWeight(dtype: DType, reason: String)
    case shapeMismatch(String)
    case batchTooLarge(String)
    case unknownAdapter(Int32)

    package var description: String {
        switch self {
        case .outOfMemory(let what, let byteCount): "not enough memory for \(what) (\(byteCount >> 20) MiB)"
        case .unsupportedWeight(let dtype, let reason): "weights of type \(dtype) cannot be used: \(reason)"
        case .unknownAdapter(let id): "the batch names adapter \(id), which is not installed"
        case .shapeMismatch(let text), .batchTooLarge(let text): text
        }
    }
}
