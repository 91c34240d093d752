package import Compute

/// A decoder-only transformer as data: what a family file makes of a configuration, and all that the shared `Decoder` needs to know.
package struct DecoderDescription: Sendable, Equatable {
    /// "llama", for logs.
    package var family: String
    package var hiddenSize: Int
    /// Rows of the embedding; the logits have as many columns.
    package var vocabularySize: Int
    /// Longest text the model was made for.
    package var maxPositions: Int
    package var layers: [LayerDescription]
    package var normKind: Norm.Kind
    package var normEpsilon: Float
    /// The output head is the embedding.
    package var tiesEmbeddings: Bool
    package var embeddingScale: Float = 1
    package var logitScale: Float = 1
    package var logitSoftcap: Float = 0
    package var names = DecoderNames()

    /// Tensors of the checkpoint that are not needed, as patterns with `*`.
    package var ignoredTensors: [String] = []
}

package struct LayerDescription: Sendable, Equatable {
    package var attention: AttentionDescription
    package var mlp: MLPDescription

    package init(attention: AttentionDescription, mlp: MLPDescription) {
        self.attention = attention
        self.mlp = mlp
    }
}

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
    package var projectionBias = Bias.none
    package var outputBias = Bias.none
    /// Norm of each query and key head.
    package var headNorm: Norm.Kind?

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

package struct MLPDescription: Sendable, Equatable {
    package var intermediateSize: Int
    package var activation: Activation
    package var bias = Bias.none

    package init(intermediateSize: Int, activation: Activation, bias: Bias = .none) {
        self.intermediateSize = intermediateSize
        self.activation = activation
        self.bias = bias
    }
}

/// Whether a linear layer has a bias.
package enum Bias: Sendable, Equatable {
    case none
    /// Missing is an error.
    case required
    /// Taken where the checkpoint has one (GGUF says it by the tensor alone).
    case ifPresent
}

/// Tensor names of a decoder, Llama's unless a family says otherwise. Layer names are relative to the layer.
package struct DecoderNames: Sendable, Equatable {
    package var embedding = "model.embed_tokens"
    package var layers = "model.layers"
    package var finalNorm = "model.norm"
    package var head = "lm_head"
    package var attentionNorm = "input_layernorm"
    package var query = "self_attn.q_proj"
    package var key = "self_attn.k_proj"
    package var value = "self_attn.v_proj"
    package var attentionOutput = "self_attn.o_proj"
    package var queryNorm = "self_attn.q_norm"
    package var keyNorm = "self_attn.k_norm"
    package var mlpNorm = "post_attention_layernorm"
    package var gate = "mlp.gate_proj"
    package var up = "mlp.up_proj"
    package var down = "mlp.down_proj"

    package init() {}
}
