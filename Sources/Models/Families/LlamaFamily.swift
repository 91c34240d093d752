import Compute
import Weights

/// Llama 1–3.2 and its many relatives (Yi, SmolLM2, Vicuna, DeepSeek-Coder …): RMS norm, rotary embedding, grouped-query attention, gated SiLU.
enum LlamaFamily: DecoderFamily {
    static let architectures = ["LlamaForCausalLM", "LLaMAForCausalLM", "YiForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "llama")
        let attentionBias = Bias(try config.bool("attention_bias", "qkv_bias", default: false))
        decoder.setBiases(projection: attentionBias, output: attentionBias, mlp: Bias(try config.bool("mlp_bias", default: false)))
        return decoder
    }
}
