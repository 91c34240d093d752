import Compute
import Weights

/// Qwen1.5, 2 and 2.5: Llama with a bias on queries, keys and values; optionally a sliding window from layer `max_window_layers` on.
enum Qwen2Family: DecoderFamily {
    static let architectures = ["Qwen2ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "qwen2")
        decoder.setBiases(projection: .required)
        let slides = try config.qwenSlidingLayers(count: decoder.layers.count)
        let window = try config.slidingWindow()
        for index in decoder.layers.indices where slides[index] { decoder.layers[index].attention?.slidingWindow = window }
        return decoder
    }
}

extension ConfigReader {
    /// Qwen's layers with a sliding window: those of `layer_types`, else from layer `max_window_layers` on, if `use_sliding_window`.
    func qwenSlidingLayers(count: Int) throws(LoadError) -> [Bool] {
        guard try bool("use_sliding_window", default: false) else { return Array(repeating: false, count: count) }
        if let slides = try slidingLayers(count: count) { return slides }
        let first = try int("max_window_layers", default: count)
        return (0..<count).map { $0 >= first }
    }
}
