/// How rows are normalised.
package struct Norm {
    package enum Kind: Sendable, Equatable {
        /// `x / sqrt(mean(x²) + eps) * (offset + w)`; Gemma's offset is 1.
        case rms(offset: Float)
        /// `(x - mean) / sqrt(var + eps) * w + b`.
        case layer
    }

    package var kind: Kind
    package var epsilon: Float
    /// `[columns]`; nil multiplies by 1.
    package var weight: Vector?
    /// `[columns]`; nil adds nothing.
    package var bias: Vector?

    package init(_ kind: Kind, epsilon: Float, weight: Vector?, bias: Vector? = nil) {
        self.kind = kind
        self.epsilon = epsilon
        self.weight = weight
        self.bias = bias
    }
}

package enum Activation: Sendable, Equatable {
    case silu, geluTanh, gelu, geluQuick, relu, reluSquared, sigmoid, tanh, identity
    /// gpt-oss: `(clamp(up, ±limit) + 1) * g * sigmoid(alpha * g)` with `g = min(gate, limit)`; without a gated pair, up is 0.
    case swigluClamped(alpha: Float, limit: Float)
}

/// What enters a matrix product: the product and what precedes it are one verb, so that a backend can fuse them and narrow the
/// activations (bfloat16, int8) once.
package enum LinearInput {
    case plain(Tensor)
    case normed(Tensor, Norm)
    /// `f(x)`.
    case activated(Tensor, Activation)
    /// `f(gate) * up` of a matrix `[rows, 2 * inputs]` that holds gate and up side by side.
    case gated(Tensor, Activation)

    package var rows: Int {
        switch self {
        case .plain(let x), .normed(let x, _), .activated(let x, _), .gated(let x, _): x.rows
        }
    }
}

/// Norm of the queries or the keys of a projection.
package struct HeadNorm {
    package enum Scope: Sendable, Equatable {
        /// Each head on its own, all with one weight `[d]`.
        case shared
        /// Each head on its own, with a weight of its own: `[heads * d]`, head by head.
        case perHead
        /// All heads as one row, weight `[heads * d]`.
        case whole
    }

    package var norm: Norm
    package var scope: Scope

    package init(_ norm: Norm, scope: Scope = .shared) {
        self.norm = norm
        self.scope = scope
    }
}

/// Attention of one layer over the paged cache.
package struct AttentionSpec {
    package var heads: Int
    package var kvHeads: Int
    /// Elements of a query or key head.
    package var headDimension: Int
    /// Elements of a value head.
    package var valueDimension: Int
    /// Factor on `q·k`.
    package var scale: Float
    /// `cap * tanh(s / cap)` on the scaled scores; 0 for none.
    package var softcap: Float = 0
    /// Tokens a query sees, itself included; nil for all before it.
    package var slidingWindow: Int?
    /// Every token sees all tokens of its sequence, which must be of one step.
    package var isBidirectional = false
    /// Rotary embedding, as registered with the backend; nil for none.
    package var rope: RopeHandle?
    /// Bound on every query, key and value of the projection, applied before anything else (`clip_qkv`); nil for none.
    package var clip: Float?
    /// Norms of queries and keys; nil for none.
    package var queryNorm: HeadNorm?
    package var keyNorm: HeadNorm?
    /// Rotates first and then norms (HunYuan); else the other way round.
    package var normsAfterRotation = false
    /// What is attended is multiplied by the sigmoid of gates, `[heads, valueDimension]`, that follow the queries in the projection.
    package var hasOutputGate = false
    /// `[heads]`, ALiBi slopes.
    package var alibiSlopes: Vector?
    /// `[heads]`, attention sinks.
    package var sinks: Vector?
    /// KV cache group of the layer, and the layer's place among the group's layers.
    package var cacheGroup: Int = 0
    package var cacheLayer: Int = 0

    package init(heads: Int, kvHeads: Int, headDimension: Int, valueDimension: Int, scale: Float) {
        self.heads = heads
        self.kvHeads = kvHeads
        self.headDimension = headDimension
        self.valueDimension = valueDimension
        self.scale = scale
    }

    /// Columns of the fused projection `[q; k; v]`, `[q; gate; k; v]` with gates.
    package var projectionColumns: Int { keyColumn + kvHeads * (headDimension + valueDimension) }
    /// Where the keys begin in it.
    package var keyColumn: Int { heads * (headDimension + (hasOutputGate ? valueDimension : 0)) }
}

/// Multi-head latent attention of one layer (DeepSeek-V2, arXiv 2405.04434): the cache holds one latent a token, key and value of all heads.
package struct LatentAttentionSpec {
    package var heads: Int
    /// Elements of a latent.
    package var rank: Int
    /// Elements of the rotated part, beside the latent.
    package var rotary: Int
    /// Factor on `q·k`.
    package var scale: Float
    package var rope: RopeHandle?
    /// Norm of the latent, before it is cached.
    package var latentNorm: Norm?
    /// KV cache group of the layer, and the layer's place among the group's layers.
    package var cacheGroup: Int = 0
    package var cacheLayer: Int = 0

    package init(heads: Int, rank: Int, rotary: Int, scale: Float) {
        self.heads = heads
        self.rank = rank
        self.rotary = rotary
        self.scale = scale
    }
}

/// Columns of a tensor that belong to heads: head `h` has those from `offset + h * stride` on. On the CPU both are even.
package struct HeadColumns {
    package var tensor: Tensor
    package var offset: Int
    package var stride: Int

    package init(_ tensor: Tensor, offset: Int = 0, stride: Int) {
        self.tensor = tensor
        self.offset = offset
        self.stride = stride
    }
}

/// A rotary embedding known to a backend.
package struct RopeHandle: Sendable, Equatable {
    package let index: Int
    package init(index: Int) { self.index = index }
}
