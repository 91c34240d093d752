import Compute
import Weights

/// GLM-4-9B in the hub's own form: Llama with half of each head rotated in adjacent pairs and a fused MLP.
enum GLMFamily: DecoderFamily {
    static let architectures = ["GlmForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        try DecoderDescription(glm: config, family: "glm")
    }
}

/// GLM-4-0414: GLM with a second norm on what each branch adds.
enum GLM4Family: DecoderFamily {
    static let architectures = ["Glm4ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(glm: config, family: "glm4")
        decoder.setForm(.sandwich)
        decoder.names.attentionOutputNorm = "post_self_attn_layernorm"
        decoder.names.mlpOutputNorm = "post_mlp_layernorm"
        return decoder
    }
}

/// GLM-4.5, 4.6 and 4.7: experts routed as in DeepSeek V3, plain rotation of half of each head, optional head norms.
enum GLM4MoEFamily: DecoderFamily {
    static let architectures = ["Glm4MoeForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "glm4-moe", partialRotary: 0.5)
        decoder.setBiases(projection: Bias(try config.bool("attention_bias", default: false)))
        if try config.bool("use_qk_norm", default: false) { decoder.eachAttention { $0.headNorm = HeadNormDescription(.rms(offset: 0)) } }
        try decoder.setDeepseekMixture(config, scoring: .sigmoid)
        decoder.ignoredTensors.append("\(decoder.names.root).layers.\(decoder.layers.count).*")
        return decoder
    }
}

extension DecoderDescription {
    fileprivate init(glm config: ConfigReader, family: String) throws(LoadError) {
        try self.init(config: config, family: family, rope: .interleaved, partialRotary: 0.5, mlp: .gatedFused)
        setBiases(projection: Bias(try config.bool("attention_bias", default: false)))
    }
}
