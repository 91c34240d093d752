package import Models

/// Memory of activations, as `Decoder` and the CPU backend lay it out for their largest step. Bytes; float32 throughout.
package enum WorkSpace {
    /// - Parameters:
    ///   - tokens: most tokens of a step.
    ///   - sequences: most rows of logits of a step.
    package static func byteCount(_ description: DecoderDescription, tokens: Int, sequences: Int) -> Int {
        let heads = description.layers.map { $0.attention.heads * $0.attention.headDimension }.max() ?? 0
        let keys = description.layers.map { $0.attention.kvHeads * $0.attention.headDimension }.max() ?? 0
        let gateUp = description.layers.map { 2 * $0.mlp.intermediateSize }.max() ?? 0
        // Residual, the last layer's rows, projections, two buffers of heads, gate and up; and one product's activations narrowed.
        let columns = 2 * description.hiddenSize + heads + 2 * keys + 2 * heads + gateUp + max(description.hiddenSize, gateUp / 2)
        return 4 * (tokens * columns + min(sequences, tokens) * description.vocabularySize)
    }
}
