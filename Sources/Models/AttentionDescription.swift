package import Compute
import Glibc

/// Attention of one layer.
package struct AttentionDescription: Sendable, Equatable {
    package var heads: Int
    package var kvHeads: Int
    package var headDimension: Int
    /// nil for no rotation.
    package var rope: RopeFrequencies?
    /// Tokens a query sees, itself included; nil for all before it.
    package var slidingWindow: Int?
    /// Factor on `q·k`; nil is `1 / sqrt(headDimension)`.
    package var scale: Float?
    package var softcap: Float = 0
    package var projection = ProjectionLayout.separate
    package var projectionBias = Bias.none
    package var outputBias = Bias.none
    /// Norm of queries and keys.
    package var headNorm: HeadNormDescription?
    /// Queries, keys and values are clamped to this range around 0.
    package var clip: Float?
    /// ALiBi: largest exponent of the slopes (8 in the paper) and a factor on them; nil for none.
    package var alibi: ALiBi?
    /// The checkpoint has attention sinks: one more logit for each head.
    package var hasSinks = false
    /// What a head attends is multiplied by the sigmoid of a gate: the query projection is `[heads, (query, gate), head dimension]`.
    package var hasOutputGate = false
    /// Every token sees every other one (encoders).
    package var isBidirectional = false

    package init(
        heads: Int, kvHeads: Int, headDimension: Int, rope: RopeFrequencies? = nil, slidingWindow: Int? = nil, projectionBias: Bias = .none,
        outputBias: Bias = .none
    ) {
        self.heads = heads
        self.kvHeads = kvHeads
        self.headDimension = headDimension
        self.rope = rope
        self.slidingWindow = slidingWindow
        self.projectionBias = projectionBias
        self.outputBias = outputBias
    }

    package var effectiveScale: Float { scale ?? 1 / Float(headDimension).squareRoot() }
}

/// How queries, keys and values lie in the checkpoint.
package enum ProjectionLayout: Sendable, Equatable {
    /// A tensor each.
    case separate
    /// One tensor `[q; k; v]`.
    case stacked
    /// One tensor `[kv heads, (queries of the group …, key, value), head dimension]`; with as many KV heads as heads that is a
    /// `(q, k, v)` for each head.
    case grouped
}

/// Norm of queries and keys.
package struct HeadNormDescription: Sendable, Equatable {
    package var kind: Norm.Kind
    /// With `.perHead` the checkpoint has one tensor `[heads, head dimension]`, or a list `norms.N`.
    package var scope: HeadNorm.Scope
    /// The rotation comes first (Hunyuan).
    package var followsRotation = false

    package init(_ kind: Norm.Kind, _ scope: HeadNorm.Scope = .shared) {
        self.kind = kind
        self.scope = scope
    }
}

/// Attention with linear biases (Press et al., arXiv 2108.12409).
package struct ALiBi: Sendable, Equatable {
    package var maxExponent: Float = 8
    package var scale: Float = 1

    package init(maxExponent: Float = 8, scale: Float = 1) {
        self.maxExponent = maxExponent
        self.scale = scale
    }

    /// `[heads]`: powers of `2^(-max / n)` for the largest power of two `n`, then every other power of the next finer series.
    package func slopes(heads: Int) -> [Float] {
        var whole = 1
        while whole * 2 <= heads { whole *= 2 }
        let coarse = (1...whole).map { exp2(-maxExponent * Float($0) / Float(whole)) }
        let fine = stride(from: 1, to: 2 * (heads - whole), by: 2).map { exp2(-maxExponent * Float($0) / Float(2 * whole)) }
        return (coarse + fine).prefix(heads).map { $0 * scale }
    }
}
