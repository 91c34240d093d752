import Compute
import Weights

/// Command-R: attention and MLP side by side after one bias-free layer norm, rotation of adjacent pairs, scaled logits.
enum CohereFamily: DecoderFamily {
    static let architectures = ["CohereForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        try DecoderDescription(cohere: config, family: "cohere")
    }
}

/// Command-R7B and Command-A: sliding layers with a rotation, and every fourth layer global without one.
enum Cohere2Family: DecoderFamily {
    static let architectures = ["Cohere2ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(cohere: config, family: "cohere2")
        let period = try config.int("sliding_window_pattern", "_sliding_window_pattern", in: 1...1024, default: 4)
        let slides = try config.slidingLayers(count: decoder.layers.count) ?? decoder.layers.indices.map { ($0 + 1) % period != 0 }
        let window = try config.slidingWindow()
        for index in decoder.layers.indices {
            if slides[index] { decoder.layers[index].attention?.slidingWindow = window } else { decoder.layers[index].attention?.rope = nil }
        }
        return decoder
    }
}

extension DecoderDescription {
    fileprivate init(cohere config: ConfigReader, family: String) throws(LoadError) {
        // A configuration that names an RMS epsilon means RMS norms.
        let norm: Norm.Kind = config.has("rms_norm_eps") && !config.has("layer_norm_eps") ? .rms(offset: 0) : .layer
        try self.init(config: config, family: family, norm: norm, rope: .interleaved, tiesEmbeddings: true)
        setForm(.parallel(sharesNorm: true))
        let bias = Bias(try config.bool("attention_bias", default: false))
        setBiases(projection: bias, output: bias)
        if try config.bool("use_qk_norm", default: false) { eachAttention { $0.headNorm = HeadNormDescription(norm, .perHead) } }
        logitScale = try config.float("logit_scale", default: 0.0625)
    }
}
