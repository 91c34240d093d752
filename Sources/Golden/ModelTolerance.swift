import Compute

/// How far a computed model may be from its reference, by what the engine rounds (fixtures' README).
struct ModelTolerance {
    /// Of the logits, in units of their standard deviation.
    var logits: Double
    /// nil where the fixtures set no bound.
    var logprobs: Double?
    /// Margin between the two best logits, in the same unit, below which greedy tokens are not compared any further.
    var margin: Double
    /// Activations are rounded and a router chooses by them.
    let allowsRouterFlips: Bool

    /// What `--dtype auto` rounds activations to.
    enum Rounding {
        /// bfloat16, for weights of 16 or more bits, or of FP8 that are widened exactly.
        case bfloat16(areWeightsQuantised: Bool)
        /// 8-bit blocks, for integer and 4-bit codes.
        case int8
        /// 8-bit blocks, for GGUF files.
        case gguf

        init(_ golden: ModelGolden, isGGUF: Bool) {
            switch golden.method {
            case _ where isGGUF: self = .gguf
            case nil: self = .bfloat16(areWeightsQuantised: false)
            case let method? where method.contains("fp8"): self = .bfloat16(areWeightsQuantised: true)
            default: self = .int8
            }
        }
    }

    init(precision: ComputePrecision, rounding: Rounding, isMixtureOfExperts: Bool) {
        allowsRouterFlips = isMixtureOfExperts && precision == .auto
        switch (precision, rounding) {
        case (.float32, _): (logits, logprobs, margin) = (1e-3, 3e-3, 0.01)
        case (.auto, .bfloat16(let areWeightsQuantised)):
            (logits, logprobs, margin) = areWeightsQuantised ? (0.1, 0.4, 0.25) : (0.12, 0.5, 0.3)
            if isMixtureOfExperts { (logits, logprobs, margin) = (0.2, 0.5, 0.3) }
        case (.auto, .int8): (logits, logprobs, margin) = (0.15, nil, 0.4)
        case (.auto, .gguf): (logits, logprobs, margin) = (0.2, nil, 0.4)
        }
    }
}
