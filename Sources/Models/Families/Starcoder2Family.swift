import Compute
import Weights

/// StarCoder2: layer norms and biases everywhere, a plain MLP, a sliding window.
enum Starcoder2Family: DecoderFamily {
    static let architectures = ["Starcoder2ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(
            config: config, family: "starcoder2", norm: .layer, activation: "gelu_pytorch_tanh", mlp: .plain, tiesEmbeddings: true)
        let bias = Bias(try config.bool("use_bias", default: true))
        decoder.setBiases(projection: bias, output: bias, mlp: bias)
        let window = try config.slidingWindow()
        decoder.eachAttention { $0.slidingWindow = window }
        decoder.names.up = "mlp.c_fc"
        decoder.names.down = "mlp.c_proj"
        return decoder
    }
}
