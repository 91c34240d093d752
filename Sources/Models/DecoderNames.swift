package import Weights

/// Tensor names of a decoder, Llama's unless a family says otherwise. Names of a layer are relative to the layer, those of the model to
/// `root`, which differs between copies of one model (`transformer.h.0` and `h.0`).
package struct DecoderNames: Sendable, Equatable {
    /// Without the dot; empty for none.
    package var root = "model"
    package var embedding = "embed_tokens"
    package var embeddingNorm = "embed_norm"
    package var positions = "embed_positions"
    package var tokenTypes = "token_type_embeddings"
    package var embeddingProjection = "project_in"
    package var outputProjection = "project_out"
    package var layers = "layers"
    package var finalNorm = "norm"
    /// Absolute.
    package var head = "lm_head"

    package var attentionNorm = "input_layernorm"
    package var attentionOutputNorm = "post_attention_layernorm"
    package var query = "self_attn.q_proj"
    package var key = "self_attn.k_proj"
    package var value = "self_attn.v_proj"
    /// Queries, keys and values in one tensor.
    package var queryKeyValue = "self_attn.qkv_proj"
    package var attentionOutput = "self_attn.o_proj"
    package var queryNorm = "self_attn.q_norm"
    package var keyNorm = "self_attn.k_norm"
    package var sinks = "self_attn.sinks"

    /// Latent attention: queries by way of a narrow vector, latents and the rotated key, keys and values of a latent.
    package var queryDown = "self_attn.q_a_proj"
    package var queryDownNorm = "self_attn.q_a_layernorm"
    package var queryUp = "self_attn.q_b_proj"
    package var latentDown = "self_attn.kv_a_proj_with_mqa"
    package var latentNorm = "self_attn.kv_a_layernorm"
    package var latentUp = "self_attn.kv_b_proj"

    package var shortConvolution = "conv.conv"
    package var shortConvolutionInput = "conv.in_proj"
    package var shortConvolutionOutput = "conv.out_proj"
    /// Module that holds the parts of a delta net.
    package var deltaNet = "linear_attn"

    package var mlpNorm = "post_attention_layernorm"
    package var mlpOutputNorm = "post_feedforward_layernorm"
    package var gate = "mlp.gate_proj"
    package var up = "mlp.up_proj"
    package var gateUp = "mlp.gate_up_proj"
    package var down = "mlp.down_proj"

    package init() {}

    /// Roots under which hub checkpoints are found.
    private static let roots = [
        "model", "", "transformer", "gpt_neox", "model.decoder", "decoder", "bert", "roberta", "language_model.model", "model.language_model",
        "model.language_model.model", "model.text_model", "backbone",
    ]

    /// The same names under the root that the checkpoint has.
    package func rooted(in checkpoint: Checkpoint) -> DecoderNames {
        let found = ([root] + Self.roots).first { candidate in
            checkpoint.contains((candidate.isEmpty ? "" : candidate + ".") + embedding + ".weight")
        }
        guard let found, found != root else { return self }
        var copy = self
        copy.root = found
        if found.hasPrefix("language_model."), !checkpoint.contains(head + ".weight") { copy.head = "language_model." + head }
        return copy
    }
}
