import Compute
import Weights

/// Gemma: Llama with RMS norms of weight `1 + w`, embeddings times the root of the hidden size, a tanh GELU and tied embeddings.
enum GemmaFamily: DecoderFamily {
    static let architectures = ["GemmaForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        try DecoderDescription(gemma: config, family: "gemma")
    }
}

/// Gemma 2: Gemma with a second norm on what each branch adds, soft caps, and a sliding window in every other layer.
enum Gemma2Family: DecoderFamily {
    static let architectures = ["Gemma2ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(gemma: config, family: "gemma2")
        try decoder.setGemma2(config)
        let softcap = try config.float("attn_logit_softcapping", default: 0)
        let slides = try config.slidingLayers(count: decoder.layers.count) ?? decoder.layers.indices.map { $0 % 2 == 0 }
        let window = try config.slidingWindow()
        decoder.eachAttention { $0.softcap = softcap }
        for index in decoder.layers.indices where slides[index] { decoder.layers[index].attention?.slidingWindow = window }
        return decoder
    }
}

/// Gemma 3 (text): Gemma 2 with norms of query and key heads instead of the caps, five sliding layers for each full one, and a rotary
/// base for each of the two kinds.
enum Gemma3Family: DecoderFamily {
    static let architectures = ["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration", "Gemma3TextModel"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        let config = try config.object(optional: "text_config") ?? config
        var decoder = try DecoderDescription(gemma: config, family: "gemma3")
        try decoder.setGemma2(config)
        let period = try config.int("sliding_window_pattern", "_sliding_window_pattern", in: 1...1024, default: 6)
        let slides = try config.slidingLayers(count: decoder.layers.count) ?? decoder.layers.indices.map { ($0 + 1) % period != 0 }
        let window = try config.int("sliding_window", in: 1...1 << 30, default: 4096)
        guard let dimension = decoder.layers.first?.attention?.headDimension else { return decoder }
        let maxPositions = decoder.maxPositions
        let full = try RopeSettings(
            config, headDimension: dimension, maxPositions: maxPositions, defaultTheta: 1_000_000, layerType: "full_attention")
        var local = try RopeSettings(config, headDimension: dimension, maxPositions: maxPositions, layerType: "sliding_attention")
        if let theta = try config.double(optional: "rope_local_base_freq") { (local.theta, local.scaling) = (theta, nil) }
        let fullRope = try full.frequencies(), localRope = try local.frequencies()
        decoder.eachAttention { $0.headNorm = HeadNormDescription(.rms(offset: 1)) }
        for index in decoder.layers.indices {
            decoder.layers[index].attention?.rope = slides[index] ? localRope : fullRope
            if slides[index] { decoder.layers[index].attention?.slidingWindow = window }
        }
        decoder.ignoredTensors += ["vision_tower.*", "multi_modal_projector.*", "model.vision_tower.*", "model.multi_modal_projector.*"]
        return decoder
    }
}

extension DecoderDescription {
    fileprivate init(gemma config: ConfigReader, family: String) throws(LoadError) {
        try self.init(
            config: config, family: family, norm: .rms(offset: 1), activation: "gelu_pytorch_tanh", tiesEmbeddings: true)
        // Gemma's 'gelu' has always meant the tanh form.
        eachMLP { if $0.activation == .gelu { $0.activation = .geluTanh } }
        embedding.scale = Float(hiddenSize).squareRoot()
        let bias = Bias(try config.bool("attention_bias", default: false))
        setBiases(projection: bias, output: bias)
    }

    /// What Gemma 2 and 3 share.
    fileprivate mutating func setGemma2(_ config: ConfigReader) throws(LoadError) {
        setForm(.sandwich)
        names.mlpNorm = "pre_feedforward_layernorm"
        let scalar = try config.float("query_pre_attn_scalar", default: 256)
        guard scalar > 0 else { throw config.error("query_pre_attn_scalar", "is \(scalar), but must be above 0") }
        eachAttention { $0.scale = 1 / scalar.squareRoot() }
        logitSoftcap = try config.float("final_logit_softcapping", default: 0)
    }
}
