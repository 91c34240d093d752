package import Models

/// The most that a device could do by its memory bandwidth and its arithmetic (the roofline model of Williams et al., 2009): what real kernels
/// come near to and never pass.
package struct Roofline: Sendable {
    package var weights: WeightFootprint
    package var cache: CacheFootprint
    package var device: Device
    package var arithmetic: Arithmetic
    /// Multiplications and additions of one token's attention to one token of its text, over all layers.
    package var attentionPerPair: Double

    package struct Speed: Sendable, Equatable {
        /// Texts that run at once.
        package var sequences: Int
        /// Tokens a second of all together.
        package var tokensPerSecond: Double
        package var isBoundByMemory: Bool
    }

    package init(_ description: DecoderDescription, _ weights: WeightFootprint, _ cache: CacheFootprint, _ device: Device, _ arithmetic: Arithmetic) {
        self.weights = weights
        self.cache = cache
        self.device = device
        self.arithmetic = arithmetic
        attentionPerPair = description.layers.reduce(0) { $0 + 4 * Double(($1.attention?.heads ?? 0) * ($1.attention?.headDimension ?? 0)) }
    }

    /// One token for each of `sequences` texts that are `context` tokens long.
    package func decode(sequences: Int, context: Int) -> Speed {
        let count = Double(sequences)
        let bytes = weights.bytesRead(tokens: sequences) + count * Double(cache.byteCount(length: context))
        let operations = count * (2 * weights.activeParameterCount + attentionPerPair * Double(context))
        return speed(tokens: sequences, sequences, bytes: bytes, operations: operations)
    }

    /// A prompt of `tokens` tokens. Only its last token meets the output head.
    package func prefill(tokens: Int) -> Speed {
        let count = Double(tokens)
        let perToken = 2 * (weights.activeParameterCount - Double(weights.head.parameterCount)) + attentionPerPair * count / 2
        let bytes = weights.bytesRead(tokens: tokens) + Double(cache.byteCount(length: tokens))
        return speed(tokens: tokens, 1, bytes: bytes, operations: count * perToken)
    }

    private func speed(tokens: Int, _ sequences: Int, bytes: Double, operations: Double) -> Speed {
        let reading = bytes / device.memoryBandwidth, computing = operations / device.rate(arithmetic)
        return Speed(sequences: sequences, tokensPerSecond: Double(tokens) / max(reading, computing, 1e-12), isBoundByMemory: reading >= computing)
    }
}
