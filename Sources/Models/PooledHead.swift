import Compute
import Glibc
import Weights

/// The linear layers behind the pooling, ready to run.
struct PooledHead {
    struct Layer {
        let matrix: Matrix
        let activation: PooledLayer.Activation
    }

    let layers: [Layer]
    /// Between layers, `[max rows, outputs]` each but for the last.
    private let buffers: [Tensor]

    init(_ loader: DecoderLoader, _ pooled: PooledDescription, maxTokens: Int) throws {
        var inputs = loader.description.hiddenSize
        var layers: [Layer] = []
        for layer in pooled.layers {
            layers.append(Layer(matrix: try loader.pooledLayer(layer, inputs: inputs), activation: layer.activation))
            inputs = layer.outputs
        }
        self.layers = layers
        buffers = try layers.dropLast().map { try loader.backend.makeTensor(rows: maxTokens, columns: $0.matrix.outputs) }
    }

    /// Rows `[R, width]` in host memory.
    /// - Parameter y: hidden states behind the final norm, `[R, hidden]`.
    func callAsFunction(_ y: Tensor, _ backend: any Backend) throws -> UnsafeMutableBufferPointer<Float> {
        guard let last = layers.last else { return try backend.output(y) }
        var input = LinearInput.plain(y)
        for (layer, buffer) in zip(layers, buffers) {
            let rows = buffer.first(y.rows)
            backend.linear(input, layer.matrix, into: rows)
            switch layer.activation {
            case .identity: input = .plain(rows)
            case .tanh: input = .activated(rows, .tanh)
            case .relu: input = .activated(rows, .relu)
            }
        }
        let values = try backend.logits(input, last.matrix, scale: 1, softcap: 0)
        switch last.activation {
        case .identity: break
        case .tanh: for index in values.indices { values[index] = tanhf(values[index]) }
        case .relu: for index in values.indices { values[index] = max(0, values[index]) }
        }
        return values
    }
}

extension DecoderLoader {
    func pooledLayer(_ layer: PooledLayer, inputs: Int) throws -> Matrix {
        if let folder = layer.folder {
            let own = try Checkpoint.open(folder).weights()
            return try linear(own, [(layer.name, layer.outputs)], inputs: inputs, bias: layer.bias, isTransposed: false)
        }
        let scope = layer.name.hasPrefix(".") ? weights[names.root] : weights
        let name = layer.name.hasPrefix(".") ? String(layer.name.dropFirst()) : layer.name
        return try linear(scope, [(name, layer.outputs)], inputs: inputs, bias: layer.bias, isTransposed: false)
    }
}
