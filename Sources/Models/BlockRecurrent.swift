import Compute
import Glibc
import Tensors
import Weights

/// A gated short convolution, ready to run.
struct BlockShortConvolution {
    /// `[B; C; x]`.
    let projection: Matrix
    let spec: ShortConvolutionSpec
    let output: Matrix
}

/// A gated delta net, ready to run.
struct BlockDeltaNet {
    let projection: Matrix
    let spec: DeltaNetSpec
    let output: Matrix
}

extension DecoderLoader {
    func shortConvolution(
        _ scope: WeightScope, _ convolution: ShortConvolutionDescription, _ place: (group: Int, layer: Int)
    ) throws -> BlockShortConvolution {
        let hidden = convolution.channels
        let bias = try bias(scope, names.shortConvolution, outputs: hidden, convolution.bias).map { try backend.makeVector($0) }
        var spec = ShortConvolutionSpec(
            channels: hidden, taps: convolution.taps,
            weights: try taps(scope, names.shortConvolution, count: convolution.taps, channels: Array(0..<hidden)), bias: bias)
        spec.cacheGroup = place.group
        spec.cacheLayer = place.layer
        return BlockShortConvolution(
            projection: try linear(scope, [(names.shortConvolutionInput, spec.projectionColumns)], inputs: hidden, bias: convolution.bias), spec: spec,
            output: try linear(scope, [(names.shortConvolutionOutput, hidden)], inputs: hidden, bias: convolution.bias))
    }

    func deltaNet(_ scope: WeightScope, _ net: DeltaNetDescription, _ place: (group: Int, layer: Int)) throws -> BlockDeltaNet {
        let hidden = description.hiddenSize, shape = net.shape, rates = 2 * shape.valueHeads
        let scope = scope[names.deltaNet]
        var spec = DeltaNetSpec(
            shape, convolution: try taps(scope, "conv1d", count: shape.taps, channels: channelOrder(shape)),
            decayRates: try backend.makeVector(try scope.parameters("A_log", shape: [shape.valueHeads]).floats().map { exp($0) }),
            decayBias: try backend.makeVector(try scope.parameters("dt_bias", shape: [shape.valueHeads])),
            outputNorm: Norm(
                .rms(offset: 0), epsilon: net.normEpsilon, weight: try backend.makeVector(try scope.parameters("norm.weight", shape: [shape.valueDimension]))))
        spec.cacheGroup = place.group
        spec.cacheLayer = place.layer
        return BlockDeltaNet(
            projection: try linear(
                scope, [("in_proj_qkvz", shape.projectionColumns - rates), ("in_proj_ba", rates)], inputs: hidden, bias: .none),
            spec: spec, output: try linear(scope, [("out_proj", hidden)], inputs: shape.valueHeads * shape.valueDimension, bias: .none))
    }

    /// The convolution's channels lie `[q; k; v]` in the checkpoint, and head by head in the projection.
    private func channelOrder(_ shape: DeltaNetShape) -> [Int] {
        let keys = shape.keyHeads * shape.keyDimension, values = shape.valuesPerKey * shape.valueDimension
        return (0..<shape.keyHeads).flatMap { head in
            let query = head * shape.keyDimension..<(head + 1) * shape.keyDimension
            return Array(query) + query.map { $0 + keys } + (head * values..<(head + 1) * values).map { $0 + 2 * keys }
        }
    }

    /// A depthwise convolution's weights, stored `[channels, 1, taps]`, as `[taps, channels]` with the channels in this order.
    private func taps(_ scope: WeightScope, _ name: String, count: Int, channels: [Int]) throws -> Vector {
        let stored = try scope.parameters(name + ".weight", shape: [channels.count, 1, count]).floats()
        return try backend.makeVector((0..<count).flatMap { tap in channels.map { stored[$0 * count + tap] } })
    }
}
