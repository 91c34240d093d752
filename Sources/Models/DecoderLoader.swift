import Compute
import Tensors
import Weights

/// Takes tensors from a checkpoint and gives them to a backend.
struct DecoderLoader {
    let description: DecoderDescription
    let weights: WeightScope
    let backend: any Backend

    var names: DecoderNames { description.names }
    private var root: WeightScope { weights[names.root] }
    private var embeddingWidth: Int { description.embedding.width ?? description.hiddenSize }

    // MARK: Ends

    func embedding() throws -> EmbeddingTable {
        try backend.makeEmbedding(try root.weights(names.embedding + ".weight", shape: [description.vocabularySize, embeddingWidth]))
    }

    /// Learned positions; the first token type is added to each row.
    func positions() throws -> EmbeddingTable? {
        guard let positions = description.embedding.positions else { return nil }
        let hidden = description.hiddenSize
        let table = try root.weights(names.positions + ".weight", shape: [positions.rows, hidden])
        guard description.embedding.tokenTypes > 0 else { return try backend.makeEmbedding(table) }
        let types = try root.parameters(names.tokenTypes + ".weight", shape: [description.embedding.tokenTypes, hidden])
        let first = try types.rows(0..<1).floats()
        var sums = try table.floats()
        for index in sums.indices { sums[index] += first[index % hidden] }
        return try backend.makeEmbedding(
            try TensorView.make(.f32, [positions.rows, hidden]) { bytes in sums.withUnsafeBytes { bytes.copyMemory(from: $0) } })
    }

    /// What other token types add to the first one, which `positions` holds already; nil where there is one type.
    func tokenTypes() throws -> EmbeddingTable? {
        let count = description.embedding.tokenTypes, hidden = description.hiddenSize
        guard count > 1, description.embedding.positions != nil else { return nil }
        var rows = try root.tensor(names.tokenTypes + ".weight", shape: [count, hidden]).floats()
        for index in rows.indices.reversed() { rows[index] -= rows[index % hidden] }
        return try backend.makeEmbedding(try TensorView.make(.f32, [count, hidden]) { bytes in rows.withUnsafeBytes { bytes.copyMemory(from: $0) } })
    }

    func embeddingNorm() throws -> Norm? {
        description.embedding.hasNorm ? try norm(root, names.embeddingNorm) : nil
    }

    func embeddingProjection() throws -> Matrix? {
        guard let width = description.embedding.width else { return nil }
        return try linear(root, [(names.embeddingProjection, description.hiddenSize)], inputs: width, bias: .none)
    }

    func outputProjection() throws -> Matrix? {
        guard let width = description.embedding.width else { return nil }
        return try linear(root, [(names.outputProjection, width)], inputs: description.hiddenSize, bias: .none)
    }

    func finalNorm() throws -> Norm? {
        description.hasFinalNorm ? try norm(root, names.finalNorm) : nil
    }

    func head() throws -> Matrix {
        if description.tiesEmbeddings {
            // Some checkpoints store the tied matrix a second time.
            weights.ignore(names.head + ".weight")
            let shape: Shape = [description.vocabularySize, embeddingWidth]
            return try backend.makeMatrix([try root.weights(names.embedding + ".weight", shape: shape)], biases: [])
        }
        if description.normalisesHead { return try normalisedHead() }
        return try linear(weights, [(names.head, description.vocabularySize)], inputs: embeddingWidth, bias: description.headBias, isTransposed: false)
    }

    /// The head with rows of length 1, in float32.
    private func normalisedHead() throws -> Matrix {
        let shape: Shape = [description.vocabularySize, embeddingWidth]
        var values = try weights.weights(names.head + ".weight", shape: shape).floats()
        for row in 0..<shape[0] {
            let range = row * shape[1]..<(row + 1) * shape[1]
            let length = max(1e-7, values[range].reduce(0) { $0 + $1 * $1 }.squareRoot())
            for index in range { values[index] /= length }
        }
        let view = try TensorView.make(.f32, shape) { bytes in values.withUnsafeBytes { bytes.copyMemory(from: $0) } }
        return try backend.makeMatrix([view], biases: [])
    }

    // MARK: Blocks

    /// - Parameter place: KV cache group of the layer and its place in the group.
    func block(_ index: Int, place: (group: Int, layer: Int)) throws -> DecoderBlock {
        let scope = root[names.layers][index]
        let layer = description.layers[index]
        var isParallel = false, sharesNorm = false
        if case .parallel(let shares) = layer.form { (isParallel, sharesNorm) = (true, shares) }
        let attentionNorms = try branchNorms(scope, layer.form, names.attentionNorm, output: names.attentionOutputNorm)
        return DecoderBlock(
            mixer: try mixer(scope, layer.mixer, place), attentionNorms: attentionNorms,
            feedForward: try feedForward(scope, layer.feedForward),
            mlpNorms: sharesNorm ? attentionNorms : try branchNorms(scope, layer.form, names.mlpNorm, output: names.mlpOutputNorm),
            isParallel: isParallel, residualScale: layer.residualScale)
    }

    private func branchNorms(_ scope: WeightScope, _ form: BlockForm, _ name: String, output: String) throws -> BranchNorms {
        switch form {
        case .preNorm, .parallel: BranchNorms(input: try norm(scope, name))
        case .normedOutputs: BranchNorms(output: try norm(scope, output))
        case .sandwich: BranchNorms(input: try norm(scope, name), output: try norm(scope, output))
        case .postNorm: BranchNorms(sum: try norm(scope, name))
        case .normedResidual: BranchNorms(residual: try norm(scope, name))
        }
    }

    private func mixer(_ scope: WeightScope, _ mixer: Mixer, _ place: (group: Int, layer: Int)) throws -> BlockMixer {
        switch mixer {
        case .attention(let attention): .attention(try self.attention(scope, attention, place))
        case .latent(let latent): .latent(try latentAttention(scope, latent, place))
        case .shortConvolution(let convolution): .shortConvolution(try shortConvolution(scope, convolution, place))
        case .deltaNet(let net): .deltaNet(try deltaNet(scope, net, place))
        }
    }

    // MARK: Pieces

    /// A norm over the hidden size.
    func norm(_ scope: WeightScope, _ name: String) throws -> Norm {
        let style = description.norm, count = description.hiddenSize
        guard style.hasWeight else { return Norm(style.kind, epsilon: style.epsilon, weight: nil) }
        // Old BERT files call the parameters gamma and beta.
        let isOld = !scope.contains(name + ".weight") && scope.contains(name + ".gamma")
        let weight = try scope.parameters(name + (isOld ? ".gamma" : ".weight"), shape: [count])
        let bias = try scope.optionalParameters(name + (isOld ? ".beta" : ".bias"), shape: [count]).map { try backend.makeVector($0) }
        let vector = style.storedOffset == 0 ? try backend.makeVector(weight) : try backend.makeVector(try weight.floats().map { $0 + style.storedOffset })
        return Norm(style.kind, epsilon: style.epsilon, weight: vector, bias: bias)
    }

    /// Linear layers that share their input, stacked along their outputs.
    func linear(
        _ scope: WeightScope, _ parts: [(name: String, outputs: Int)], inputs: Int, bias: Bias, isTransposed: Bool? = nil
    ) throws -> Matrix {
        var stored: [StoredWeight] = [], biases: [TensorView?] = [], modules: [MatrixModule] = [], column = 0
        for part in parts {
            modules.append(MatrixModule(name: scope.prefix + part.name, firstColumn: column, outputs: part.outputs))
            column += part.outputs
            stored.append(try weight(scope, part.name, outputs: part.outputs, inputs: inputs, isTransposed: isTransposed))
            biases.append(try self.bias(scope, part.name, outputs: part.outputs, bias))
        }
        let matrix = try backend.makeMatrix(stored, biases: biases)
        matrix.modules = modules
        return matrix
    }

    func weight(_ scope: WeightScope, _ name: String, outputs: Int, inputs: Int, isTransposed: Bool? = nil) throws -> StoredWeight {
        try scope.linear(name, outputs: outputs, inputs: inputs, isTransposed: isTransposed ?? description.storesTransposed)
    }

    /// A layer without a bias may have one in a quantised checkpoint, whose packers write zeros for all.
    func bias(_ scope: WeightScope, _ name: String, outputs: Int, _ bias: Bias) throws -> TensorView? {
        switch bias {
        case .required: try scope.parameters(name + ".bias", shape: [outputs])
        case .ifPresent: try scope.optionalParameters(name + ".bias", shape: [outputs])
        case .none: try scope.quantization().method == .none ? nil : try scope.bias(name, outputs: outputs)
        }
    }
}
