/// A gated short convolution (LFM2): `y = C * conv(B * x)`, causal and depthwise, of projections `[B; C; x]`.
package struct ShortConvolutionSpec {
    package var channels: Int
    /// Tokens that an output sees, its own included; at least 2.
    package var taps: Int
    /// `[taps, channels]`, the token's own last.
    package var weights: Vector
    /// `[channels]`.
    package var bias: Vector?
    /// KV cache group of the layer, and the layer's place among the group's layers.
    package var cacheGroup: Int = 0
    package var cacheLayer: Int = 0

    package init(channels: Int, taps: Int, weights: Vector, bias: Vector? = nil) {
        self.channels = channels
        self.taps = taps
        self.weights = weights
        self.bias = bias
    }

    /// Columns of the projection.
    package var projectionColumns: Int { 3 * channels }
}

/// Sizes of a gated delta net (Yang et al., arXiv 2412.06464): linear attention whose state, a matrix `[keyDimension, valueDimension]` for
/// each value head, decays, and forgets what it holds under a key before it takes the key's new value.
package struct DeltaNetShape: Sendable, Equatable {
    /// Each serves `valueHeads / keyHeads` value heads.
    package var keyHeads: Int
    package var valueHeads: Int
    package var keyDimension: Int
    package var valueDimension: Int
    /// Tokens that the causal convolution over queries, keys and values sees, the own one included; at least 2.
    package var taps: Int

    package init(keyHeads: Int, valueHeads: Int, keyDimension: Int, valueDimension: Int, taps: Int) {
        self.keyHeads = keyHeads
        self.valueHeads = valueHeads
        self.keyDimension = keyDimension
        self.valueDimension = valueDimension
        self.taps = taps
    }

    /// Value heads of a key head.
    package var valuesPerKey: Int { valueHeads / keyHeads }
    /// What the convolution takes of a key head: query, key and values.
    package var channelsPerKey: Int { 2 * keyDimension + valuesPerKey * valueDimension }
    /// Query, key, values and output gates of a key head.
    package var columnsPerKey: Int { channelsPerKey + valuesPerKey * valueDimension }
    /// Columns of the projection: those of each key head, then for each key head the update strengths and the decays of its value heads.
    package var projectionColumns: Int { keyHeads * columnsPerKey + 2 * valueHeads }
    /// The convolution's last inputs and the states of a key head.
    package var stateElementsPerKey: Int { (taps - 1) * channelsPerKey + valuesPerKey * keyDimension * valueDimension }
}

package struct DeltaNetSpec {
    package var shape: DeltaNetShape
    /// `[taps, keyHeads * channelsPerKey]`, the token's own last.
    package var convolution: Vector
    /// `[valueHeads]`: the state decays by `exp(-rate * softplus(a + bias))`.
    package var decayRates: Vector
    package var decayBias: Vector
    /// Norm of each value head's output, before its gate `silu(z)`.
    package var outputNorm: Norm
    /// KV cache group of the layer, and the layer's place among the group's layers.
    package var cacheGroup: Int = 0
    package var cacheLayer: Int = 0

    package init(_ shape: DeltaNetShape, convolution: Vector, decayRates: Vector, decayBias: Vector, outputNorm: Norm) {
        self.shape = shape
        self.convolution = convolution
        self.decayRates = decayRates
        self.decayBias = decayBias
        self.outputNorm = outputNorm
    }
}

extension KVPage {
    /// Tokens that a layer with a state sees of its group's blocks: its own, whose block takes the new state, and the one before, whose
    /// block holds the old one. A full block keeps the state at its end, which is what a prefix hit goes on from.
    package static let stateWindow = 2

    package static func shortConvolution(channels: Int, taps: Int) -> KVPage { .state(elements: (taps - 1) * channels) }
    package static func deltaNet(_ shape: DeltaNetShape) -> KVPage { .state(elements: shape.keyHeads * shape.stateElementsPerKey) }
}
