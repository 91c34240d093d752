import Compute
import Tensors
import Weights

extension DecoderLoader {
    func attention(_ scope: WeightScope, _ attention: AttentionDescription, _ place: (group: Int, layer: Int)) throws -> BlockAttention {
        BlockAttention(
            projection: try projection(scope, attention), spec: try spec(scope, attention, place),
            output: try linear(
                scope, [(names.attentionOutput, description.hiddenSize)], inputs: attention.heads * attention.headDimension, bias: attention.outputBias))
    }

    /// Queries, keys and values as one matrix `[q; k; v]`, however they are stored.
    private func projection(_ scope: WeightScope, _ attention: AttentionDescription) throws -> Matrix {
        let hidden = description.hiddenSize
        let queries = attention.heads * attention.headDimension, keys = attention.kvHeads * attention.headDimension
        switch attention.projection {
        case .separate where attention.hasOutputGate: return try gatedProjection(scope, attention)
        case .separate:
            return try linear(
                scope, [(names.query, queries), (names.key, keys), (names.value, keys)], inputs: hidden, bias: attention.projectionBias)
        case .stacked:
            return try linear(scope, [(names.queryKeyValue, queries + 2 * keys)], inputs: hidden, bias: attention.projectionBias)
        case .grouped:
            let rows = groupedRows(attention)
            let weight = try weight(scope, names.queryKeyValue, outputs: rows.count, inputs: hidden).rows(rows)
            let bias = try bias(scope, names.queryKeyValue, outputs: rows.count, attention.projectionBias)
            let matrix = try backend.makeMatrix([weight], biases: [try bias?.gatheringElements(rows)])
            matrix.modules = [
                MatrixModule(
                    name: scope.prefix + names.queryKeyValue, firstColumn: 0, outputs: rows.count, outputOrder: rows.map { Int32($0) })
            ]
            return matrix
        }
    }

    /// `[q; gate; k; v]` of a query projection that is stored `[heads, (query, gate), head dimension]`.
    private func gatedProjection(_ scope: WeightScope, _ attention: AttentionDescription) throws -> Matrix {
        let hidden = description.hiddenSize, dimension = attention.headDimension
        let queries = 2 * attention.heads * dimension, keys = attention.kvHeads * dimension
        let order = (0..<2).flatMap { half in
            (0..<attention.heads).flatMap { head in (2 * head + half) * dimension..<(2 * head + half + 1) * dimension }
        }
        let parts = [(names.query, queries), (names.key, keys), (names.value, keys)]
        var weights = try parts.map { try weight(scope, $0.0, outputs: $0.1, inputs: hidden) }
        var biases = try parts.map { try bias(scope, $0.0, outputs: $0.1, attention.projectionBias) }
        weights[0] = try weights[0].rows(order)
        biases[0] = try biases[0]?.gatheringElements(order)
        let matrix = try backend.makeMatrix(weights, biases: biases)
        matrix.modules = [
            MatrixModule(name: scope.prefix + names.query, firstColumn: 0, outputs: queries, outputOrder: order.map { Int32($0) }),
            MatrixModule(name: scope.prefix + names.key, firstColumn: queries, outputs: keys),
            MatrixModule(name: scope.prefix + names.value, firstColumn: queries + keys, outputs: keys),
        ]
        return matrix
    }

    /// Where the rows of `[q; k; v]` lie in `[kv heads, (queries …, key, value), head dimension]`.
    private func groupedRows(_ attention: AttentionDescription) -> [Int] {
        let dimension = attention.headDimension, group = attention.heads / attention.kvHeads, stride = group + 2
        let queries = (0..<attention.heads).map { $0 / group * stride + $0 % group }
        let keys = (0..<attention.kvHeads).map { $0 * stride + group }
        return (queries + keys + keys.map { $0 + 1 }).flatMap { head in head * dimension..<(head + 1) * dimension }
    }

    private func spec(_ scope: WeightScope, _ attention: AttentionDescription, _ place: (group: Int, layer: Int)) throws -> AttentionSpec {
        var spec = AttentionSpec(
            heads: attention.heads, kvHeads: attention.kvHeads, headDimension: attention.headDimension,
            valueDimension: attention.headDimension, scale: attention.effectiveScale)
        spec.softcap = attention.softcap
        spec.slidingWindow = attention.slidingWindow
        spec.hasOutputGate = attention.hasOutputGate
        spec.rope = attention.rope.map { backend.registerRope($0) }
        spec.clip = attention.clip
        spec.isBidirectional = attention.isBidirectional
        if let style = attention.headNorm {
            spec.queryNorm = try headNorm(scope, names.queryNorm, style, attention, heads: attention.heads)
            spec.keyNorm = try headNorm(scope, names.keyNorm, style, attention, heads: attention.kvHeads)
            spec.normsAfterRotation = style.followsRotation
        }
        if let alibi = attention.alibi { spec.alibiSlopes = try backend.makeVector(alibi.slopes(heads: attention.heads)) }
        if attention.hasSinks { spec.sinks = try backend.makeVector(try scope.parameters(names.sinks, shape: [attention.heads])) }
        spec.cacheGroup = place.group
        spec.cacheLayer = place.layer
        return spec
    }

    private func headNorm(
        _ scope: WeightScope, _ name: String, _ style: HeadNormDescription, _ attention: AttentionDescription, heads: Int
    ) throws -> HeadNorm {
        let dimension = attention.headDimension
        let norm = { (weight: Vector, bias: Vector?) in
            HeadNorm(Norm(style.kind, epsilon: self.description.norm.epsilon, weight: weight, bias: bias), scope: style.scope)
        }
        switch style.scope {
        case .shared, .whole:
            let count = style.scope == .shared ? dimension : heads * dimension
            let bias = try scope.optionalParameters(name + ".bias", shape: [count]).map { try backend.makeVector($0) }
            return norm(try backend.makeVector(try scope.parameters(name + ".weight", shape: [count])), bias)
        case .perHead where scope.contains(name + ".weight"):
            return norm(try backend.makeVector(try scope.parameters(name + ".weight", shape: [heads, dimension])), nil)
        case .perHead:
            let weights = try (0..<heads).flatMap { try scope.parameters("\(name).norms.\($0).weight", shape: [dimension]).floats() }
            return norm(try backend.makeVector(weights), nil)
        }
    }
}
