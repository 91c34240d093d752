import Compute
import Tensors
import Weights

/// Latent attention, ready to run: queries are taken into the space of the latents, attend there, and values come back out of it, so that
/// no key or value is ever made.
struct BlockLatentAttention {
    /// `[query rank, hidden]` and the norm behind it; nil where `queries` reads the residual.
    let queryDown: (matrix: Matrix, norm: Norm)?
    /// `[heads * (plain + rotary), query rank or hidden]`.
    let queries: Matrix
    /// `[rank + rotary, hidden]`.
    let latents: Matrix
    /// Each head's unrotated query to `rank`.
    let intoLatent: HeadMatrices
    /// Each head's mixture of latents to its value.
    let outOfLatent: HeadMatrices
    let spec: LatentAttentionSpec
    /// Elements of a query head before the rotated ones.
    let plain: Int
    let valueDimension: Int
    let output: Matrix

    /// Attention's heads, `[T, heads * valueDimension]`, of `input`.
    func callAsFunction(_ input: LinearInput, _ backend: any Backend, _ buffers: LatentBuffers, projection: Tensor, into out: Tensor) {
        let rows = input.rows, stride = plain + spec.rotary
        if let queryDown {
            let narrow = buffers.queries(queryDown.matrix.outputs, rows: rows)
            backend.linear(input, queryDown.matrix, into: narrow)
            backend.linear(.normed(narrow, queryDown.norm), queries, into: projection)
        } else {
            backend.linear(input, queries, into: projection)
        }
        let latent = buffers.latents(latents.outputs, rows: rows), mixed = buffers.mixed(spec.heads * spec.rank, rows: rows)
        backend.linear(input, latents, into: latent)
        backend.linearPerHead(HeadColumns(projection, stride: stride), intoLatent, into: HeadColumns(mixed, stride: spec.rank))
        backend.latentAttention(mixed, rotary: HeadColumns(projection, offset: plain, stride: stride), latents: latent, spec, into: mixed)
        backend.linearPerHead(HeadColumns(mixed, stride: spec.rank), outOfLatent, into: HeadColumns(out, stride: valueDimension))
    }
}

/// Activations that only latent attention has, `[max tokens, …]`.
struct LatentBuffers {
    private let narrowQueries: Tensor
    private let narrowLatents: Tensor
    private let wide: Tensor

    /// nil where no block has latent attention.
    init?(_ blocks: [DecoderBlock], _ backend: any Backend, maxTokens: Int) throws {
        let all = blocks.compactMap { block in if case .latent(let latent) = block.mixer { latent } else { nil } }
        guard !all.isEmpty else { return nil }
        narrowQueries = try backend.makeTensor(rows: maxTokens, columns: all.map { $0.queryDown?.matrix.outputs ?? 0 }.max() ?? 0)
        narrowLatents = try backend.makeTensor(rows: maxTokens, columns: all.map { $0.latents.outputs }.max() ?? 0)
        wide = try backend.makeTensor(rows: maxTokens, columns: all.map { $0.spec.heads * $0.spec.rank }.max() ?? 0)
    }

    func queries(_ columns: Int, rows: Int) -> Tensor { narrowQueries.narrowed(to: columns).first(rows) }
    func latents(_ columns: Int, rows: Int) -> Tensor { narrowLatents.narrowed(to: columns).first(rows) }
    func mixed(_ columns: Int, rows: Int) -> Tensor { wide.narrowed(to: columns).first(rows) }
}

extension DecoderLoader {
    func latentAttention(
        _ scope: WeightScope, _ latent: LatentAttentionDescription, _ place: (group: Int, layer: Int)
    ) throws -> BlockLatentAttention {
        let hidden = description.hiddenSize, columns = latent.heads * latent.queryDimension
        var queryDown: (matrix: Matrix, norm: Norm)?
        let queries: Matrix
        if let rank = latent.queryRank {
            let down = try linear(scope, [(names.queryDown, rank)], inputs: hidden, bias: latent.bias)
            queryDown = (down, try innerNorm(scope, names.queryDownNorm, count: rank, latent))
            queries = try linear(scope, [(names.queryUp, columns)], inputs: rank, bias: .none)
        } else {
            queries = try linear(scope, [(names.query, columns)], inputs: hidden, bias: .none)
        }
        var spec = LatentAttentionSpec(heads: latent.heads, rank: latent.rank, rotary: latent.rotary, scale: latent.scale)
        spec.rope = backend.registerRope(latent.rope)
        spec.latentNorm = try innerNorm(scope, names.latentNorm, count: latent.rank, latent)
        spec.cacheGroup = place.group
        spec.cacheLayer = place.layer
        let (keys, values) = try latentUp(scope, latent)
        return BlockLatentAttention(
            queryDown: queryDown, queries: queries,
            latents: try linear(scope, [(names.latentDown, latent.rank + latent.rotary)], inputs: hidden, bias: latent.bias),
            intoLatent: try backend.makeHeadMatrices(keys, transposed: true),
            outOfLatent: try backend.makeHeadMatrices(values, transposed: false),
            spec: spec, plain: latent.plain, valueDimension: latent.valueDimension,
            output: try linear(
                scope, [(names.attentionOutput, hidden)], inputs: latent.heads * latent.valueDimension, bias: latent.bias))
    }

    private func innerNorm(_ scope: WeightScope, _ name: String, count: Int, _ latent: LatentAttentionDescription) throws -> Norm {
        let weight = try backend.makeVector(try scope.tensor(name + ".weight", shape: [count]))
        return Norm(.rms(offset: 0), epsilon: latent.normEpsilon, weight: weight)
    }

    /// Each head's rows of the matrix that makes keys and values of a latent: `[plain, rank]` and `[value, rank]`.
    private func latentUp(_ scope: WeightScope, _ latent: LatentAttentionDescription) throws -> (keys: [StoredWeight], values: [StoredWeight]) {
        let rows = latent.plain + latent.valueDimension
        let matrix = try scope.linear(names.latentUp, outputs: latent.heads * rows, inputs: latent.rank)
        var keys: [StoredWeight] = [], values: [StoredWeight] = []
        for head in 0..<latent.heads {
            keys.append(try matrix.rows(head * rows..<head * rows + latent.plain))
            values.append(try matrix.rows(head * rows + latent.plain..<(head + 1) * rows))
        }
        return (keys, values)
    }
}
