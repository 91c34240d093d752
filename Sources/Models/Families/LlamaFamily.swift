import Compute
import Weights

/// Llama 1–3.2 and its many relatives (Yi, SmolLM2, Vicuna, DeepSeek-Coder …): RMS norm, rotary embedding, grouped-query attention, gated SiLU.
enum LlamaFamily: DecoderFamily {
    static let architectures = ["LlamaForCausalLM", "LLaMAForCausalLM", "YiForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(llamaLike: config, family: "llama")
        let attentionBias = try config.bool("attention_bias", "qkv_bias", default: false)
        let mlpBias = try config.bool("mlp_bias", default: false)
        for index in decoder.layers.indices {
            decoder.layers[index].attention.projectionBias = attentionBias ? .required : .none
            decoder.layers[index].attention.outputBias = attentionBias ? .required : .none
            decoder.layers[index].mlp.bias = mlpBias ? .required : .none
        }
        return decoder
    }
}
