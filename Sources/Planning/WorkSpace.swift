import Compute
package import Models

/// Memory of activations, as `Decoder` and the CPU backend lay it out for their largest step. Bytes; float32 throughout.
package enum WorkSpace {
    /// - Parameters:
    ///   - tokens: most tokens of a step.
    ///   - sequences: most rows of logits of a step.
    package static func byteCount(_ description: DecoderDescription, tokens: Int, sequences: Int) -> Int {
        let attentions = description.layers.compactMap(\.attention)
        let heads = attentions.map { $0.heads * $0.headDimension }.max() ?? 0
        let keys = attentions.map { $0.kvHeads * $0.headDimension }.max() ?? 0
        let gateUp = description.layers.map { 2 * intermediate($0.feedForward) }.max() ?? 0
        // Residual, the last layer's rows, projections, two buffers of heads, gate and up; and one product's activations narrowed.
        let columns = 2 * description.hiddenSize + heads + 2 * keys + 2 * heads + gateUp + max(description.hiddenSize, gateUp / 2)
        return 4 * (tokens * columns + min(sequences, tokens) * description.vocabularySize)
    }

    /// Elements of one token between the two halves of a feed-forward part.
    private static func intermediate(_ part: FeedForward) -> Int {
        switch part {
        case .dense(let mlp): mlp.intermediateSize
        case .mixture(let mixture): mixture.routing.chosen * mixture.intermediateSize + (mixture.shared?.mlp.intermediateSize ?? 0)
        }
    }
}
