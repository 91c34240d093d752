package import Compute
import Weights

/// A gated short convolution in the place of attention (LFM2).
package struct ShortConvolutionDescription: Sendable, Equatable {
    /// As many as the hidden size.
    package var channels: Int
    /// Tokens that an output sees, its own included.
    package var taps: Int
    /// Of the convolution and both projections.
    package var bias = Bias.none

    package init(channels: Int, taps: Int, bias: Bias = .none) {
        self.channels = channels
        self.taps = taps
        self.bias = bias
    }
}

/// A gated delta net in the place of attention (Qwen3-Next).
package struct DeltaNetDescription: Sendable, Equatable {
    package var shape: DeltaNetShape
    /// Of the norm of each value head's output.
    package var normEpsilon: Float

    package init(_ shape: DeltaNetShape, normEpsilon: Float) {
        self.shape = shape
        self.normEpsilon = normEpsilon
    }
}

extension ConfigReader {
    /// Which layers have attention, by `layer_types`; nil where the configuration has no such list.
    /// - Parameter other: the list's name for those that have a state instead.
    func attentionLayers(count: Int, other: String) throws(LoadError) -> [Bool]? {
        guard let types = try strings(optional: "layer_types") else { return nil }
        guard types.count == count else { throw error("layer_types", "has \(types.count) entries for \(count) layers") }
        for type in types where type != "full_attention" && type != other {
            throw error("layer_types", "holds '\(type)'; known are full_attention and \(other)")
        }
        return types.map { $0 == "full_attention" }
    }
}
