import Compute
import Tensors
import Weights

/// One transformer block: attention and MLP, each after a norm and added to the residual stream.
struct DecoderLayer {
    let attentionNorm: Norm
    let projection: Matrix
    let attention: AttentionSpec
    let attentionOutput: Matrix
    let mlpNorm: Norm
    let gateUp: Matrix
    let activation: Activation
    let down: Matrix
}

/// Takes tensors from a checkpoint and gives them to a backend.
struct DecoderLoader {
    let description: DecoderDescription
    let weights: WeightScope
    let backend: any Backend

    private var names: DecoderNames { description.names }

    func embedding() throws -> EmbeddingTable {
        let table = try weights.tensor(names.embedding + ".weight", shape: [description.vocabularySize, description.hiddenSize])
        return try backend.makeEmbedding(table)
    }

    func head() throws -> Matrix {
        let shape: Shape = [description.vocabularySize, description.hiddenSize]
        if description.tiesEmbeddings {
            // Some checkpoints store the tied matrix a second time.
            weights.ignore(names.head + ".weight")
            return try backend.makeMatrix([try weights.tensor(names.embedding + ".weight", shape: shape)], biases: [])
        }
        return try backend.makeMatrix([try weights.tensor(names.head + ".weight", shape: shape)], biases: [])
    }

    func norm(_ scope: WeightScope, _ name: String, count: Int, kind: Norm.Kind? = nil) throws -> Norm {
        let weight = try backend.makeVector(try scope.tensor(name + ".weight", shape: [count]))
        let bias = try scope.optional(name + ".bias", shape: [count]).map { try backend.makeVector($0) }
        return Norm(kind ?? description.normKind, epsilon: description.normEpsilon, weight: weight, bias: bias)
    }

    /// - Parameter place: KV cache group of the layer and its place in the group.
    func layer(_ index: Int, place: (group: Int, layer: Int)) throws -> DecoderLayer {
        let scope = weights[names.layers][index]
        let layer = description.layers[index]
        let hidden = description.hiddenSize, attention = layer.attention, mlp = layer.mlp
        let queries = attention.heads * attention.headDimension, keys = attention.kvHeads * attention.headDimension
        return DecoderLayer(
            attentionNorm: try norm(scope, names.attentionNorm, count: hidden),
            projection: try linear(
                scope, [(names.query, queries), (names.key, keys), (names.value, keys)], inputs: hidden, bias: attention.projectionBias),
            attention: try attentionSpec(scope, attention, place),
            attentionOutput: try linear(scope, [(names.attentionOutput, hidden)], inputs: queries, bias: attention.outputBias),
            mlpNorm: try norm(scope, names.mlpNorm, count: hidden),
            gateUp: try linear(
                scope, [(names.gate, mlp.intermediateSize), (names.up, mlp.intermediateSize)], inputs: hidden, bias: mlp.bias),
            activation: mlp.activation,
            down: try linear(scope, [(names.down, hidden)], inputs: mlp.intermediateSize, bias: mlp.bias))
    }

    private func attentionSpec(
        _ scope: WeightScope, _ attention: AttentionDescription, _ place: (group: Int, layer: Int)
    ) throws -> AttentionSpec {
        var spec = AttentionSpec(
            heads: attention.heads, kvHeads: attention.kvHeads, headDimension: attention.headDimension,
            valueDimension: attention.headDimension, scale: attention.effectiveScale)
        spec.softcap = attention.softcap
        spec.slidingWindow = attention.slidingWindow
        spec.rope = attention.rope.map { backend.registerRope($0) }
        if let kind = attention.headNorm {
            spec.queryNorm = HeadNorm(try norm(scope, names.queryNorm, count: attention.headDimension, kind: kind))
            spec.keyNorm = HeadNorm(try norm(scope, names.keyNorm, count: attention.headDimension, kind: kind))
        }
        spec.cacheGroup = place.group
        spec.cacheLayer = place.layer
        return spec
    }

    /// Linear layers that share their input, stacked along their outputs.
    private func linear(_ scope: WeightScope, _ parts: [(name: String, outputs: Int)], inputs: Int, bias: Bias) throws -> Matrix {
        var tensors: [TensorView] = [], biases: [TensorView?] = []
        for part in parts {
            tensors.append(try scope.tensor(part.name + ".weight", shape: [part.outputs, inputs]))
            switch bias {
            case .none: biases.append(nil)
            case .required: biases.append(try scope.tensor(part.name + ".bias", shape: [part.outputs]))
            case .ifPresent: biases.append(try scope.optional(part.name + ".bias", shape: [part.outputs]))
            }
        }
        return try backend.makeMatrix(tensors, biases: biases)
    }
}
