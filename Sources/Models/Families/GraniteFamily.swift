import Compute
import Weights

/// Granite: Llama with multipliers on embeddings, scores, branches and logits.
enum GraniteFamily: DecoderFamily {
    static let architectures = ["GraniteForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        try DecoderDescription(granite: config, family: "granite")
    }
}

/// Granite-MoE: Granite with experts stacked in one tensor, weighed by a softmax over the chosen ones; optionally an expert for all.
enum GraniteMoEFamily: DecoderFamily {
    static let architectures = ["GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(granite: config, family: "granite-moe")
        let routing = RoutingSpec(
            experts: try config.experts(), chosen: try config.expertsPerToken(), scoring: .softmaxOfChosen)
        let sharedSize = try config.int("shared_intermediate_size", in: 0...1 << 22, default: 0)
        decoder.setMixture(
            routing, .stacked(gateUp: "block_sparse_moe.input_linear.weight", down: "block_sparse_moe.output_linear.weight"),
            router: "block_sparse_moe.router.layer"
        ) { mixture in
            guard sharedSize > 0 else { return }
            mixture.shared = SharedExpertDescription(
                MLPDescription(intermediateSize: sharedSize, activation: mixture.activation, form: .gatedFused), module: "shared_mlp",
                names: .granite)
        }
        return decoder
    }
}

extension DecoderDescription {
    fileprivate init(granite config: ConfigReader, family: String) throws(LoadError) {
        try self.init(config: config, family: family)
        let bias = Bias(try config.bool("attention_bias", default: false))
        setBiases(projection: bias, output: bias, mlp: Bias(try config.bool("mlp_bias", default: false)))
        embedding.scale = try config.float("embedding_multiplier", default: 1)
        let scale = try config.float("attention_multiplier", default: 1)
        eachAttention { $0.scale = scale }
        let residual = try config.float("residual_multiplier", default: 1)
        for index in layers.indices { layers[index].residualScale = residual }
        let scaling = try config.float("logits_scaling", default: 1)
        guard scaling != 0 else { throw config.error("logits_scaling", "is 0") }
        logitScale = 1 / scaling
    }
}
