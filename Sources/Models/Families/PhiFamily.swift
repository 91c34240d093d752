import Compute
import Weights

/// Phi 1, 1.5 and 2: attention and MLP side by side after one layer norm, partial rotation, biases everywhere.
enum PhiFamily: DecoderFamily {
    static let architectures = ["PhiForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(
            config: config, family: "phi", norm: .layer, partialRotary: 0.5, activation: "gelu_new", mlp: .plain)
        decoder.setForm(.parallel(sharesNorm: true))
        decoder.setBiases(projection: .required, output: .required, mlp: .required)
        decoder.headBias = .required
        if try config.bool("qk_layernorm", default: false) {
            decoder.eachAttention { $0.headNorm = HeadNormDescription(.layer) }
        }
        decoder.names.finalNorm = "final_layernorm"
        decoder.names.attentionOutput = "self_attn.dense"
        decoder.names.queryNorm = "self_attn.q_layernorm"
        decoder.names.keyNorm = "self_attn.k_layernorm"
        decoder.names.up = "mlp.fc1"
        decoder.names.down = "mlp.fc2"
        return decoder
    }
}

/// Phi-3, Phi-3.5-mini, Phi-4 and Phi-4-mini: Llama with fused projections, LongRoPE and a sliding window.
enum Phi3Family: DecoderFamily {
    static let architectures = ["Phi3ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "phi3", mlp: .gatedFused)
        let window = try config.slidingWindow()
        decoder.eachAttention {
            $0.projection = .stacked
            $0.slidingWindow = window
        }
        return decoder
    }
}

/// Phi-3.5-MoE: layer norms, biases, and experts picked by sparsemixer.
enum PhiMoEFamily: DecoderFamily {
    static let architectures = ["PhiMoEForCausalLM", "PhimoeForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "phimoe", norm: .layer)
        let bias = Bias(try config.bool("attention_bias", default: false))
        decoder.setBiases(projection: bias, output: bias)
        decoder.headBias = Bias(try config.bool("lm_head_bias", default: false))
        let window = try config.slidingWindow()
        decoder.eachAttention { $0.slidingWindow = window }
        var routing = RoutingSpec(
            experts: try config.experts(), chosen: try config.expertsPerToken(),
            scoring: .sparseMixer(jitter: try config.float("router_jitter_noise", default: 0.01)))
        routing.normalises = false
        decoder.setMixture(routing, .mixtral, router: "block_sparse_moe.gate")
        return decoder
    }
}
