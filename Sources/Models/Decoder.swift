import Compute
import Step
import Weights

/// The one decoder that runs every family, out of its description: embedding, blocks, final norm, head.
///
/// Activations live in a few buffers sized for the largest step. It is made on one thread and then used from the engine's alone.
package final class Decoder {
    package let description: DecoderDescription
    let backend: any Backend
    private let embedding: EmbeddingTable
    private let layers: [DecoderLayer]
    private let finalNorm: Norm
    private let head: Matrix

    // Activations, `[max tokens, …]`.
    private let residual: Tensor
    private let projection: Tensor
    private let attended: Tensor
    private let gateUp: Tensor
    private let last: Tensor
    private let lastAttended: Tensor

    /// - Parameter maxTokens: most tokens of one step.
    init(
        _ description: DecoderDescription, weights: WeightScope, backend: any Backend, places: [(group: Int, layer: Int)], maxTokens: Int,
        progress: @Sendable (Int, Int) -> Void
    ) throws {
        self.description = description
        self.backend = backend
        let loader = DecoderLoader(description: description, weights: weights, backend: backend)
        embedding = try loader.embedding()
        var layers: [DecoderLayer] = []
        for index in description.layers.indices {
            layers.append(try loader.layer(index, place: places[index]))
            progress(index + 1, description.layers.count + 1)
        }
        self.layers = layers
        finalNorm = try loader.norm(weights, description.names.finalNorm, count: description.hiddenSize)
        head = try loader.head()
        progress(description.layers.count + 1, description.layers.count + 1)
        residual = try backend.makeTensor(rows: maxTokens, columns: description.hiddenSize)
        projection = try backend.makeTensor(rows: maxTokens, columns: layers.map { $0.attention.projectionColumns }.max() ?? 0)
        attended = try backend.makeTensor(
            rows: maxTokens, columns: layers.map { $0.attention.heads * $0.attention.valueDimension }.max() ?? 0)
        gateUp = try backend.makeTensor(rows: maxTokens, columns: layers.map { $0.gateUp.outputs }.max() ?? 0)
        last = try backend.makeTensor(rows: maxTokens, columns: description.hiddenSize)
        lastAttended = try backend.makeTensor(rows: maxTokens, columns: attended.columns)
    }

    /// One step: logits of the wanted rows, `[R, vocabulary]`.
    func callAsFunction(_ batch: borrowing StepBatch) throws -> UnsafeMutableBufferPointer<Float> {
        let tokens = batch.tokenCount, wanted = batch.logitRows.count
        try backend.beginStep(batch)
        let x = residual.first(tokens)
        backend.embed(embedding, scale: description.embeddingScale, into: x)
        for layer in layers.dropLast() {
            attend(layer, x)
            backend.linear(.plain(attended.first(tokens)), layer.attentionOutput, addingTo: x)
            feedForward(layer, x)
        }
        guard let layer = layers.last else { return UnsafeMutableBufferPointer(start: nil, count: 0) }
        // Past the last layer's attention only the rows whose logits are wanted matter.
        attend(layer, x)
        let y = last.first(wanted)
        backend.gatherLogitRows(x, into: y)
        backend.gatherLogitRows(attended.first(tokens), into: lastAttended.first(wanted))
        backend.linear(.plain(lastAttended.first(wanted)), layer.attentionOutput, addingTo: y)
        feedForward(layer, y)
        return try backend.logits(.normed(y, finalNorm), head, scale: description.logitScale, softcap: description.logitSoftcap)
    }

    /// Attention's heads into `attended`.
    private func attend(_ layer: DecoderLayer, _ x: Tensor) {
        let heads = projection.first(x.rows)
        backend.linear(.normed(x, layer.attentionNorm), layer.projection, into: heads)
        backend.attention(heads, layer.attention, into: attended.first(x.rows))
    }

    private func feedForward(_ layer: DecoderLayer, _ x: Tensor) {
        let hidden = gateUp.first(x.rows)
        backend.linear(.normed(x, layer.mlpNorm), layer.gateUp, into: hidden)
        backend.linear(.gated(hidden, layer.activation), layer.down, addingTo: x)
    }
}
