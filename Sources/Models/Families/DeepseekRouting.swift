import Compute
import Weights

extension DecoderDescription {
    /// DeepSeek's experts, which GLM-4.5 and others took over: dense layers first, then a mixture with experts that every token takes.
    mutating func setDeepseekMixture(_ config: ConfigReader, scoring: RoutingSpec.Scoring) throws(LoadError) {
        var routing = RoutingSpec(
            experts: try config.experts(), chosen: try config.expertsPerToken(), scoring: scoring)
        routing.normalises = try config.bool("norm_topk_prob", default: false)
        routing.scale = try config.float("routed_scaling_factor", default: 1)
        let isGrouped = try config.string("topk_method", default: scoring == .sigmoid ? "noaux_tc" : "greedy") != "greedy"
        let groups = try config.int("n_group", in: 1...4096, default: 1)
        let chosenGroups = try config.int("topk_group", in: 1...4096, default: 1)
        if scoring == .sigmoid { routing.normaliserOffset = 1e-20 }
        if isGrouped, groups > 1 {
            routing.groups = RoutingSpec.Groups(count: groups, chosen: chosenGroups, score: scoring == .sigmoid ? .sumOfTwoBest : .best)
        }
        let size = try config.int("moe_intermediate_size", in: 1...1 << 22)
        let first = try config.int("first_k_dense_replace", in: 0...4096, default: 0)
        let every = try config.int("moe_layer_freq", in: 1...4096, default: 1)
        let sharedCount = try config.int("n_shared_experts", in: 0...4096, default: 0)
        let chosen = layers.indices.filter { $0 >= first && $0 % every == 0 }
        setMixture(routing, .perExpert, router: "mlp.gate", intermediateSize: size, only: chosen) { mixture in
            if scoring == .sigmoid { mixture.correctionBias = "mlp.gate.e_score_correction_bias" }
            guard sharedCount > 0 else { return }
            mixture.shared = SharedExpertDescription(
                MLPDescription(intermediateSize: size * sharedCount, activation: mixture.activation), module: "mlp.shared_experts")
        }
    }
}
