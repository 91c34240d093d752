import Compute
import Weights

/// GPT-NeoX (Pythia, Dolly): a fused projection laid out head by head, a quarter of each head rotated, attention and MLP side by side.
enum GPTNeoXFamily: DecoderFamily {
    static let architectures = ["GPTNeoXForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(
            config: config, family: "gpt-neox", norm: .layer, partialRotary: 0.25, activation: "gelu", mlp: .plain)
        if try config.bool("use_parallel_residual", default: true) { decoder.setForm(.parallel(sharesNorm: false)) }
        let bias = Bias(try config.bool("attention_bias", default: true))
        decoder.setBiases(projection: bias, output: bias, mlp: .required)
        decoder.eachAttention { $0.projection = .grouped }
        decoder.names.root = "gpt_neox"
        decoder.names.embedding = "embed_in"
        decoder.names.finalNorm = "final_layer_norm"
        decoder.names.head = "embed_out"
        decoder.names.queryKeyValue = "attention.query_key_value"
        decoder.names.attentionOutput = "attention.dense"
        decoder.names.up = "mlp.dense_h_to_4h"
        decoder.names.down = "mlp.dense_4h_to_h"
        return decoder
    }
}
