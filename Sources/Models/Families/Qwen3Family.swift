import Compute
import Weights

/// Qwen3: Llama with an RMS norm on each query and key head.
enum Qwen3Family: DecoderFamily {
    static let architectures = ["Qwen3ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        try DecoderDescription(qwen3: config, family: "qwen3")
    }
}

/// Qwen3-MoE: Qwen3 with experts in all layers but `mlp_only_layers`.
enum Qwen3MoEFamily: DecoderFamily {
    static let architectures = ["Qwen3MoeForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(qwen3: config, family: "qwen3-moe")
        try decoder.setQwenMixture(config, normalises: true)
        return decoder
    }
}

/// Qwen2-MoE (Qwen1.5-MoE, Qwen2-57B-A14B): Qwen2 with experts and a gated expert that every token takes.
enum Qwen2MoEFamily: DecoderFamily {
    static let architectures = ["Qwen2MoeForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try Qwen2Family.describe(config)
        decoder.family = "qwen2-moe"
        decoder.setBiases(projection: Bias(try config.bool("qkv_bias", default: true)))
        try decoder.setQwenMixture(config, normalises: false)
        return decoder
    }
}

extension DecoderDescription {
    fileprivate init(qwen3 config: ConfigReader, family: String) throws(LoadError) {
        try self.init(config: config, family: family)
        let bias = Bias(try config.bool("attention_bias", default: false))
        setBiases(projection: bias, output: bias)
        let slides = try config.qwenSlidingLayers(count: layers.count)
        let window = try config.slidingWindow()
        eachAttention { $0.headNorm = HeadNormDescription(.rms(offset: 0)) }
        for index in layers.indices where slides[index] { layers[index].attention?.slidingWindow = window }
    }

    /// Qwen's experts: every `decoder_sparse_step`-th layer but `mlp_only_layers`; a shared expert where it has a size.
    mutating func setQwenMixture(_ config: ConfigReader, normalises: Bool) throws(LoadError) {
        let step = try config.int("decoder_sparse_step", in: 1...1024, default: 1)
        let dense = Set(try config.ints(optional: "mlp_only_layers") ?? [])
        var routing = RoutingSpec(experts: try config.experts(), chosen: try config.expertsPerToken(), scoring: .softmax)
        routing.normalises = try config.bool("norm_topk_prob", default: normalises)
        let size = try config.int("moe_intermediate_size", in: 1...1 << 22)
        let sharedSize = try config.int("shared_expert_intermediate_size", in: 0...1 << 22, default: 0)
        let chosen = layers.indices.filter { !dense.contains($0) && ($0 + 1) % step == 0 }
        setMixture(routing, .perExpert, router: "mlp.gate", intermediateSize: size, only: chosen) { mixture in
            guard sharedSize > 0 else { return }
            mixture.shared = SharedExpertDescription(
                MLPDescription(intermediateSize: sharedSize, activation: mixture.activation), module: "mlp.shared_expert", gate: "mlp.shared_expert_gate")
        }
    }
}
