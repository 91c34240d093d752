import Compute
import Weights

/// LFM2: Llama's blocks with a gated short convolution in the place of most layers' attention, and norms of query and key heads.
enum Lfm2Family: DecoderFamily {
    static let architectures = ["Lfm2ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "lfm2", defaultTheta: 1_000_000, tiesEmbeddings: true)
        if let ties = try config.bool(optional: "tie_embedding") { decoder.tiesEmbeddings = ties }
        let size = try intermediateSize(config)
        decoder.eachMLP { $0.intermediateSize = size }
        decoder.eachAttention { $0.headNorm = HeadNormDescription(.rms(offset: 0)) }
        let convolution = ShortConvolutionDescription(
            channels: decoder.hiddenSize, taps: try config.int("conv_L_cache", in: 2...64, default: 3),
            bias: Bias(try config.bool("conv_bias", default: false)))
        let attends = try attentionLayers(config, count: decoder.layers.count)
        for index in decoder.layers.indices where !attends[index] { decoder.layers[index].mixer = .shortConvolution(convolution) }
        decoder.names.finalNorm = "embedding_norm"
        decoder.names.attentionNorm = "operator_norm"
        decoder.names.mlpNorm = "ffn_norm"
        decoder.names.attentionOutput = "self_attn.out_proj"
        decoder.names.queryNorm = "self_attn.q_layernorm"
        decoder.names.keyNorm = "self_attn.k_layernorm"
        decoder.names.gate = "feed_forward.w1"
        decoder.names.up = "feed_forward.w3"
        decoder.names.down = "feed_forward.w2"
        return decoder
    }

    /// `layer_types`, else the indices in `full_attn_idxs`, else all.
    private static func attentionLayers(_ config: ConfigReader, count: Int) throws(LoadError) -> [Bool] {
        if let attends = try config.attentionLayers(count: count, other: "conv") { return attends }
        guard let indices = try config.ints(optional: "full_attn_idxs") else { return Array(repeating: true, count: count) }
        return (0..<count).map { indices.contains($0) }
    }

    /// Two thirds of what is stated, scaled and rounded up, unless `block_auto_adjust_ff_dim` is false.
    private static func intermediateSize(_ config: ConfigReader) throws(LoadError) -> Int {
        let stated = try config.int("block_ff_dim", "intermediate_size", in: 2...1 << 22, default: 12288)
        guard try config.bool("block_auto_adjust_ff_dim", default: true) else { return stated }
        let reduced = 2 * stated / 3
        if config.json?["block_ffn_dim_multiplier"]?.isNull == true { return reduced }
        let multiplier = try config.double("block_ffn_dim_multiplier", default: 1)
        guard multiplier > 0, multiplier <= 64 else { throw config.error("block_ffn_dim_multiplier", "is \(multiplier), but must be above 0 and at most 64") }
        let multiple = try config.int("block_multiple_of", in: 1...1 << 20, default: 256)
        return (Int(multiplier * Double(reduced)) + multiple - 1) / multiple * multiple
    }
}
