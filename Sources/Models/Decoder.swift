import Compute
import Step
import Weights

/// The one decoder that runs every family, out of its description: embedding, blocks, final norm, head.
///
/// Activations live in a few buffers sized for the largest step. It is made on one thread and then used from the engine's alone.
package final class Decoder {
    package let description: DecoderDescription
    let backend: any Backend
    private let ends: DecoderEnds
    private let blocks: [DecoderBlock]
    private let buffers: DecoderBuffers

    /// - Parameter maxTokens: most tokens of one step.
    init(
        _ description: DecoderDescription, weights: WeightScope, backend: any Backend, places: [(group: Int, layer: Int)], maxTokens: Int,
        progress: @Sendable (Int, Int) -> Void
    ) throws {
        self.description = description
        self.backend = backend
        let loader = DecoderLoader(description: description, weights: weights, backend: backend)
        var blocks: [DecoderBlock] = []
        for index in description.layers.indices {
            blocks.append(try loader.block(index, place: places[index]))
            progress(index + 1, description.layers.count + 1)
        }
        self.blocks = blocks
        ends = try DecoderEnds(loader, maxTokens: maxTokens)
        progress(description.layers.count + 1, description.layers.count + 1)
        buffers = try DecoderBuffers(description, blocks, backend, maxTokens: maxTokens)
    }

    /// One step: logits of the wanted rows, `[R, vocabulary]`, or pooled rows, `[R, width]`.
    func callAsFunction(_ batch: borrowing StepBatch) throws -> UnsafeMutableBufferPointer<Float> {
        let tokens = batch.tokenCount, wanted = batch.logitRows.count
        try backend.beginStep(batch)
        let x = buffers.residual.first(tokens)
        embed(into: x)
        if case .pooled(.mean, let head) = ends.head { return try means(x, wanted, head) }
        for block in blocks.dropLast() { run(block, x) }
        guard let block = blocks.last else { return UnsafeMutableBufferPointer(start: nil, count: 0) }
        let y = buffers.last.first(wanted)
        runLast(block, x, into: y)
        switch ends.head {
        case .logits(let head): return try logits(y, head)
        case .pooled(_, let head):
            if let norm = ends.finalNorm { backend.norm(y, norm, into: y) }
            return try head(y, backend)
        }
    }

    /// Rows pooled by the mean over their sequences: every token matters to the end.
    private func means(_ x: Tensor, _ wanted: Int, _ head: PooledHead) throws -> UnsafeMutableBufferPointer<Float> {
        for block in blocks { run(block, x) }
        if let norm = ends.finalNorm { backend.norm(x, norm, into: x) }
        let y = buffers.last.first(wanted)
        backend.gatherMeans(x, into: y)
        return try head(y, backend)
    }

    private func embed(into x: Tensor) {
        let scale = description.embedding.scale
        if let projection = ends.embeddingProjection, let narrow = buffers.embedded {
            backend.embed(ends.embedding, scale: scale, into: narrow.first(x.rows))
            backend.linear(.plain(narrow.first(x.rows)), projection, into: x)
        } else {
            backend.embed(ends.embedding, scale: scale, into: x)
        }
        if let positions = ends.positions {
            let rows = buffers.branch.first(x.rows)
            backend.embedPositions(positions, offset: description.embedding.positions?.offset ?? 0, into: rows)
            backend.add(rows, scale: 1, to: x)
        }
        if let types = ends.tokenTypes { backend.addTokenTypes(types, to: x) }
        if let norm = ends.embeddingNorm { backend.norm(x, norm, into: x) }
    }

    private func logits(_ y: Tensor, _ head: Matrix) throws -> UnsafeMutableBufferPointer<Float> {
        var input = ends.finalNorm.map { LinearInput.normed(y, $0) } ?? .plain(y)
        if let projection = ends.outputProjection, let narrow = buffers.embedded {
            backend.linear(input, projection, into: narrow.first(y.rows))
            input = .plain(narrow.first(y.rows))
        }
        return try backend.logits(input, head, scale: description.logitScale, softcap: description.logitSoftcap)
    }

    // MARK: Blocks

    private func run(_ block: DecoderBlock, _ x: Tensor) {
        attend(block, x)
        let attended = buffers.attended(block, rows: x.rows)
        if block.isParallel { feedForwardInput(block, x) }
        add(.plain(attended), block.mixer.output, block.attentionNorms, block.residualScale, to: x)
        if !block.isParallel { feedForwardInput(block, x) }
        feedForwardOutput(block, to: x)
    }

    /// Past the last block's attention only the rows whose logits are wanted matter.
    private func runLast(_ block: DecoderBlock, _ x: Tensor, into y: Tensor) {
        attend(block, x)
        let attended = buffers.attended(block, rows: x.rows), wanted = buffers.lastAttended(block, rows: y.rows)
        backend.gatherLogitRows(x, into: y)
        backend.gatherLogitRows(attended, into: wanted)
        if block.isParallel { feedForwardInput(block, y) }
        add(.plain(wanted), block.mixer.output, block.attentionNorms, block.residualScale, to: y)
        if !block.isParallel { feedForwardInput(block, y) }
        feedForwardOutput(block, to: y)
    }

    /// Attention's heads, or what stands in their place, into `attended`.
    private func attend(_ block: DecoderBlock, _ x: Tensor) {
        if let norm = block.attentionNorms.residual { backend.norm(x, norm, into: x) }
        switch block.mixer {
        case .attention(let attention):
            let heads = buffers.projection(attention.projection.outputs, rows: x.rows)
            backend.linear(input(x, block.attentionNorms), attention.projection, into: heads)
            backend.attention(heads, attention.spec, into: buffers.attended(block, rows: x.rows))
        case .latent(let latent):
            guard let own = buffers.latent else { return }
            latent(
                input(x, block.attentionNorms), backend, own, projection: buffers.projection(latent.queries.outputs, rows: x.rows),
                into: buffers.attended(block, rows: x.rows))
        case .shortConvolution(let convolution):
            let projected = buffers.projection(convolution.projection.outputs, rows: x.rows)
            backend.linear(input(x, block.attentionNorms), convolution.projection, into: projected)
            backend.shortConvolution(projected, convolution.spec, into: buffers.attended(block, rows: x.rows))
        case .deltaNet(let net):
            let projected = buffers.projection(net.projection.outputs, rows: x.rows)
            backend.linear(input(x, block.attentionNorms), net.projection, into: projected)
            backend.deltaNet(projected, net.spec, into: buffers.attended(block, rows: x.rows))
        }
    }

    /// The first half of the feed-forward part: what its norm and first product make of `x`. A mixture runs whole, into `branch`.
    private func feedForwardInput(_ block: DecoderBlock, _ x: Tensor) {
        if let norm = block.mlpNorms.residual { backend.norm(x, norm, into: x) }
        switch block.feedForward {
        case .dense(let mlp): backend.linear(input(x, block.mlpNorms), mlp.up, into: buffers.hidden(mlp.up.outputs, rows: x.rows))
        case .mixture(let mixture): backend.mixture(input(x, block.mlpNorms), mixture, into: buffers.mixed.first(x.rows))
        }
    }

    private func feedForwardOutput(_ block: DecoderBlock, to x: Tensor) {
        switch block.feedForward {
        case .dense(let mlp):
            let hidden = buffers.hidden(mlp.up.outputs, rows: x.rows)
            let input: LinearInput = mlp.isGated ? .gated(hidden, mlp.activation) : .activated(hidden, mlp.activation)
            add(input, mlp.down, block.mlpNorms, block.residualScale, to: x)
        case .mixture: addBranch(buffers.mixed.first(x.rows), block.mlpNorms, block.residualScale, to: x)
        }
    }

    private func input(_ x: Tensor, _ norms: BranchNorms) -> LinearInput {
        norms.input.map { .normed(x, $0) } ?? .plain(x)
    }

    /// `x += scale * norm(input Wᵀ)`, then the norm of the sum.
    private func add(_ input: LinearInput, _ matrix: Matrix, _ norms: BranchNorms, _ scale: Float, to x: Tensor) {
        guard norms.output != nil || scale != 1 else {
            backend.linear(input, matrix, addingTo: x)
            if let norm = norms.sum { backend.norm(x, norm, into: x) }
            return
        }
        let branch = buffers.branch.first(x.rows)
        backend.linear(input, matrix, into: branch)
        addBranch(branch, norms, scale, to: x)
    }

    private func addBranch(_ branch: Tensor, _ norms: BranchNorms, _ scale: Float, to x: Tensor) {
        if let norm = norms.output { backend.norm(branch, norm, into: branch) }
        backend.add(branch, scale: scale, to: x)
        if let norm = norms.sum { backend.norm(x, norm, into: x) }
    }
}
