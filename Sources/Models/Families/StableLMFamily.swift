import Compute
import Weights

/// StableLM: Llama with layer norms and a quarter of each head rotated; the 12B one has a norm for each head and branches side by side.
enum StableLMFamily: DecoderFamily {
    static let architectures = ["StableLmForCausalLM", "StableLMEpochForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "stablelm", norm: .layer, partialRotary: 0.25)
        decoder.setBiases(projection: Bias(try config.bool("use_qkv_bias", default: false)))
        if try config.bool("use_parallel_residual", default: false) { decoder.setForm(.parallel(sharesNorm: true)) }
        if try config.bool("qk_layernorm", default: false) {
            decoder.eachAttention { $0.headNorm = HeadNormDescription(.layer, .perHead) }
        }
        decoder.names.queryNorm = "self_attn.q_layernorm"
        decoder.names.keyNorm = "self_attn.k_layernorm"
        return decoder
    }
}
