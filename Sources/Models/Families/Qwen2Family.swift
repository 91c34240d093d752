import Compute
import Weights

/// Qwen1.5, 2 and 2.5: Llama with a bias on queries, keys and values; optionally a sliding window from layer `max_window_layers` on.
enum Qwen2Family: DecoderFamily {
    static let architectures = ["Qwen2ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(llamaLike: config, family: "qwen2", defaultTheta: 10_000)
        let usesWindow = try config.bool("use_sliding_window", default: false)
        let window = usesWindow ? try config.int(optional: "sliding_window", in: 1...1 << 30) : nil
        let firstSliding = try config.int("max_window_layers", default: decoder.layers.count)
        let slides = try config.slidingLayers(count: decoder.layers.count)
        for index in decoder.layers.indices {
            decoder.layers[index].attention.projectionBias = .required
            if slides?[index] ?? (index >= firstSliding) { decoder.layers[index].attention.slidingWindow = window }
        }
        return decoder
    }
}
