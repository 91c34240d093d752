import Compute
import Step

/// What stands before the first block and after the last one.
struct DecoderEnds {
    let embedding: EmbeddingTable
    let positions: EmbeddingTable?
    let tokenTypes: EmbeddingTable?
    let embeddingNorm: Norm?
    let embeddingProjection: Matrix?
    let finalNorm: Norm?
    let outputProjection: Matrix?
    let head: ModelHead

    init(_ loader: DecoderLoader, maxTokens: Int) throws {
        embedding = try loader.embedding()
        positions = try loader.positions()
        tokenTypes = try loader.tokenTypes()
        embeddingNorm = try loader.embeddingNorm()
        embeddingProjection = try loader.embeddingProjection()
        finalNorm = try loader.finalNorm()
        outputProjection = try loader.outputProjection()
        if let pooled = loader.description.pooled {
            head = .pooled(pooled.pooling, try PooledHead(loader, pooled, maxTokens: maxTokens))
        } else {
            head = .logits(try loader.head())
        }
    }
}

/// What makes the output of the last block's rows.
enum ModelHead {
    case logits(Matrix)
    case pooled(PooledOutput.Pooling, PooledHead)
}

/// Activations of a step, `[max tokens, …]`; untouched ones take no memory. Blocks of different widths share memory.
struct DecoderBuffers {
    let residual: Tensor
    /// Rows of the last block whose logits are wanted.
    let last: Tensor
    /// What a branch gives before it is added.
    let branch: Tensor
    /// What a mixture of experts gives.
    let mixed: Tensor
    /// Embeddings of another width than the hidden size.
    let embedded: Tensor?
    let latent: LatentBuffers?
    private let projections: Tensor
    private let attendeds: Tensor
    private let lastAttendeds: Tensor
    private let hiddens: Tensor

    init(_ description: DecoderDescription, _ blocks: [DecoderBlock], _ backend: any Backend, maxTokens: Int) throws {
        func make(_ columns: Int) throws -> Tensor { try backend.makeTensor(rows: maxTokens, columns: columns) }
        residual = try make(description.hiddenSize)
        last = try make(description.hiddenSize)
        branch = try make(description.hiddenSize)
        mixed = try make(description.hiddenSize)
        embedded = try description.embedding.width.map { try make($0) }
        latent = try LatentBuffers(blocks, backend, maxTokens: maxTokens)
        projections = try make(blocks.map { $0.mixer.projectionColumns }.max() ?? 0)
        attendeds = try make(blocks.map { $0.mixer.attendedColumns }.max() ?? 0)
        lastAttendeds = try make(blocks.last?.mixer.attendedColumns ?? 0)
        hiddens = try make(blocks.map { $0.feedForward.hiddenColumns }.max() ?? 0)
    }

    func projection(_ columns: Int, rows: Int) -> Tensor { projections.narrowed(to: columns).first(rows) }
    func attended(_ block: DecoderBlock, rows: Int) -> Tensor { attendeds.narrowed(to: block.mixer.attendedColumns).first(rows) }
    func lastAttended(_ block: DecoderBlock, rows: Int) -> Tensor { lastAttendeds.narrowed(to: block.mixer.attendedColumns).first(rows) }
    func hidden(_ columns: Int, rows: Int) -> Tensor { hiddens.narrowed(to: columns).first(rows) }
}
