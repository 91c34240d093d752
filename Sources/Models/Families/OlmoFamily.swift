import Compute
import Weights

/// OLMo: Llama with layer norms that have no parameters, and clamped projections.
enum OlmoFamily: DecoderFamily {
    static let architectures = ["OlmoForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "olmo", norm: .layer)
        decoder.norm.hasWeight = false
        decoder.norm.epsilon = 1e-5
        let bias = Bias(try config.bool("attention_bias", default: false))
        decoder.setBiases(projection: bias, output: bias)
        let clip = try config.float(optional: "clip_qkv")
        decoder.eachAttention { $0.clip = clip }
        return decoder
    }
}

/// OLMo 2: norms on what the branches add, and over all of the queries and the keys.
enum Olmo2Family: DecoderFamily {
    static let architectures = ["Olmo2ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        try DecoderDescription(olmo2: config, family: "olmo2")
    }
}

/// OLMo 3: OLMo 2 with three sliding layers, whose rotation is not scaled, for each full one.
enum Olmo3Family: DecoderFamily {
    static let architectures = ["Olmo3ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(olmo2: config, family: "olmo3")
        let slides = try config.slidingLayers(count: decoder.layers.count) ?? decoder.layers.indices.map { ($0 + 1) % 4 != 0 }
        let window = try config.slidingWindow()
        guard let dimension = decoder.layers.first?.attention?.headDimension else { return decoder }
        var local = try RopeSettings(config, headDimension: dimension, maxPositions: decoder.maxPositions, layerType: "sliding_attention")
        if try config.object(optional: "rope_parameters")?.object(optional: "sliding_attention") == nil { local.scaling = nil }
        let localRope = try local.frequencies()
        for index in decoder.layers.indices where slides[index] {
            decoder.layers[index].attention?.slidingWindow = window
            decoder.layers[index].attention?.rope = localRope
        }
        return decoder
    }
}

/// OLMoE: Llama with norms over all of the queries and the keys, and 64 experts.
enum OlmoEFamily: DecoderFamily {
    static let architectures = ["OlmoeForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "olmoe")
        let bias = Bias(try config.bool("attention_bias", default: false))
        decoder.setBiases(projection: bias, output: bias)
        let clip = try config.float(optional: "clip_qkv")
        decoder.eachAttention {
            $0.headNorm = HeadNormDescription(.rms(offset: 0), .whole)
            $0.clip = clip
        }
        var routing = RoutingSpec(experts: try config.experts(), chosen: try config.expertsPerToken(), scoring: .softmax)
        routing.normalises = try config.bool("norm_topk_prob", default: false)
        decoder.setMixture(routing, .perExpert, router: "mlp.gate")
        return decoder
    }
}

extension DecoderDescription {
    fileprivate init(olmo2 config: ConfigReader, family: String) throws(LoadError) {
        try self.init(config: config, family: family)
        setForm(.normedOutputs)
        let bias = Bias(try config.bool("attention_bias", default: false))
        setBiases(projection: bias, output: bias)
        eachAttention { $0.headNorm = HeadNormDescription(.rms(offset: 0), .whole) }
    }
}
