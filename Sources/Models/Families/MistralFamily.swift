import Compute
import Weights

/// Mistral and Ministral: Llama with a sliding window in every layer, or in those that `layer_types` names.
enum MistralFamily: DecoderFamily {
    static let architectures = ["MistralForCausalLM", "MinistralForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "mistral")
        let window = try config.slidingWindow()
        let slides = try config.slidingLayers(count: decoder.layers.count) ?? Array(repeating: true, count: decoder.layers.count)
        for index in decoder.layers.indices where slides[index] { decoder.layers[index].attention?.slidingWindow = window }
        return decoder
    }
}
