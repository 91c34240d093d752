import Compute
import Weights

/// GPT-J: attention and MLP side by side after one layer norm, the first dims of a head rotated in adjacent pairs.
enum GPTJFamily: DecoderFamily {
    static let architectures = ["GPTJForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(
            config: config, family: "gptj", norm: .layer, rope: .interleaved, activation: "gelu_new", mlp: .plain)
        decoder.setForm(.parallel(sharesNorm: true))
        decoder.setBiases(mlp: .required)
        decoder.headBias = .required
        decoder.names.root = "transformer"
        decoder.names.embedding = "wte"
        decoder.names.layers = "h"
        decoder.names.finalNorm = "ln_f"
        decoder.names.attentionNorm = "ln_1"
        decoder.names.query = "attn.q_proj"
        decoder.names.key = "attn.k_proj"
        decoder.names.value = "attn.v_proj"
        decoder.names.attentionOutput = "attn.out_proj"
        decoder.names.up = "mlp.fc_in"
        decoder.names.down = "mlp.fc_out"
        return decoder
    }
}
