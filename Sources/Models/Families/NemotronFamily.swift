import Compute
import Weights

/// Nemotron and Minitron: layer norms of weight `1 + w`, half of each head rotated, an ungated MLP with squared ReLU.
enum NemotronFamily: DecoderFamily {
    static let architectures = ["NemotronForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(
            config: config, family: "nemotron", norm: .layer, partialRotary: 0.5, activation: "relu2", mlp: .plain)
        decoder.norm.storedOffset = 1
        let bias = Bias(try config.bool("attention_bias", default: false))
        decoder.setBiases(projection: bias, output: bias, mlp: Bias(try config.bool("mlp_bias", default: false)))
        return decoder
    }
}
