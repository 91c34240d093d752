import Compute
import Weights

/// Qwen3-Next: three gated delta nets to each layer of attention, whose output has a gate; norms that multiply by one more than their weights;
/// Qwen's experts with a gated shared one.
enum Qwen3NextFamily: DecoderFamily {
    static let architectures = ["Qwen3NextForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "qwen3-next", norm: .rms(offset: 1), partialRotary: 0.25)
        let bias = Bias(try config.bool("attention_bias", default: false))
        decoder.setBiases(projection: bias, output: bias)
        decoder.eachAttention {
            $0.headNorm = HeadNormDescription(.rms(offset: 1))
            $0.hasOutputGate = true
        }
        let net = DeltaNetDescription(try shape(config), normEpsilon: decoder.norm.epsilon)
        let interval = try config.int("full_attention_interval", in: 1...1024, default: 4)
        let attends =
            try config.attentionLayers(count: decoder.layers.count, other: "linear_attention") ?? decoder.layers.indices.map { ($0 + 1) % interval == 0 }
        for index in decoder.layers.indices where !attends[index] { decoder.layers[index].mixer = .deltaNet(net) }
        if try config.int("num_experts", in: 0...4096, default: 0) > 0 { try decoder.setQwenMixture(config, normalises: true) }
        // Further layers that guess tokens ahead.
        decoder.ignoredTensors.append("mtp.*")
        return decoder
    }

    private static func shape(_ config: ConfigReader) throws(LoadError) -> DeltaNetShape {
        guard try config.activation() == .silu else { throw config.error("hidden_act", "must be silu for gated delta nets") }
        let keyHeads = try config.int("linear_num_key_heads", in: 1...1024, default: 16)
        let valueHeads = try config.int("linear_num_value_heads", in: 1...1024, default: 32)
        guard valueHeads % keyHeads == 0 else {
            throw config.error("linear_num_value_heads", "is \(valueHeads), which linear_num_key_heads (\(keyHeads)) does not divide")
        }
        return DeltaNetShape(
            keyHeads: keyHeads, valueHeads: valueHeads, keyDimension: try config.int("linear_key_head_dim", in: 1...1024, default: 128),
            valueDimension: try config.int("linear_value_head_dim", in: 1...1024, default: 128),
            taps: try config.int("linear_conv_kernel_dim", in: 2...64, default: 4))
    }
}
