import Compute
import Weights

/// gpt-oss: attention sinks, every other layer sliding, experts with biases and a clamped gate; weights in bfloat16 or MXFP4.
enum GptOssFamily: DecoderFamily {
    static let architectures = ["GptOssForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "gpt-oss", defaultTheta: 150_000)
        let bias = Bias(try config.bool("attention_bias", default: true))
        decoder.setBiases(projection: bias, output: bias)
        let slides = try config.slidingLayers(count: decoder.layers.count) ?? decoder.layers.indices.map { $0 % 2 == 0 }
        let window = try config.slidingWindow()
        decoder.eachAttention { $0.hasSinks = true }
        for index in decoder.layers.indices where slides[index] { decoder.layers[index].attention?.slidingWindow = window }
        let routing = RoutingSpec(
            experts: try config.experts(), chosen: try config.expertsPerToken(), scoring: .softmaxOfChosen)
        let limit = try config.float("swiglu_limit", default: 7)
        decoder.setMixture(
            routing, .alternating(gateUp: "mlp.experts.gate_up_proj", down: "mlp.experts.down_proj"), router: "mlp.router"
        ) { mixture in
            mixture.activation = .swigluClamped(alpha: 1.702, limit: limit)
            mixture.routerBias = .required
        }
        return decoder
    }
}
