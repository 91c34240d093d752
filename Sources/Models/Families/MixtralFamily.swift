import Compute
import Weights

/// Mixtral: Mistral with a mixture of experts in every layer.
enum MixtralFamily: DecoderFamily {
    static let architectures = ["MixtralForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "mixtral")
        let window = try config.slidingWindow()
        decoder.eachAttention { $0.slidingWindow = window }
        var routing = RoutingSpec(experts: try config.experts(), chosen: try config.expertsPerToken(), scoring: .softmax)
        routing.normalises = true
        decoder.setMixture(routing, .mixtral, router: "block_sparse_moe.gate")
        return decoder
    }
}

extension MixtureDescription.Layout {
    /// `experts.N.w1`, `w3`, `w2`.
    static let mixtral = separate(prefix: "block_sparse_moe.experts", gate: "w1", up: "w3", down: "w2")
    /// `experts.N.gate_proj`, `up_proj`, `down_proj`.
    static let perExpert = separate(prefix: "mlp.experts", gate: "gate_proj", up: "up_proj", down: "down_proj")
}

extension DecoderDescription {
    /// Makes the feed-forward part of all layers, or `chosen` ones, a mixture whose experts are of the MLP's size, or of `intermediateSize`.
    mutating func setMixture(
        _ routing: RoutingSpec, _ layout: MixtureDescription.Layout, router: String, intermediateSize: Int? = nil,
        only chosen: [Int]? = nil, _ change: (inout MixtureDescription) -> Void = { _ in }
    ) {
        for index in chosen ?? Array(layers.indices) {
            guard let mlp = layers[index].mlp else { continue }
            var mixture = MixtureDescription(
                experts: routing.experts, intermediateSize: intermediateSize ?? mlp.intermediateSize, activation: mlp.activation,
                routing: routing, layout: layout, router: router)
            change(&mixture)
            layers[index].feedForward = .mixture(mixture)
        }
    }
}

extension ConfigReader {
    /// Number of experts: families and versions of Transformers have a key each.
    func experts() throws(LoadError) -> Int {
        try int("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", in: 1...4096)
    }

    func expertsPerToken() throws(LoadError) -> Int {
        try int("num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_k", in: 1...4096)
    }
}
