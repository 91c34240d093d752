import Compute
import Glibc
import Weights

/// DeepSeek's first mixture of experts: Llama with many small experts and some that every token takes.
enum DeepseekFamily: DecoderFamily {
    static let architectures = ["DeepseekForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(config: config, family: "deepseek")
        let bias = Bias(try config.bool("attention_bias", default: false))
        decoder.setBiases(projection: bias, output: bias)
        try decoder.setDeepseekMixture(config, scoring: .softmax)
        return decoder
    }
}

/// DeepSeek-V2: latent attention, experts by softmax and in groups.
enum DeepseekV2Family: DecoderFamily {
    static let architectures = ["DeepseekV2ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        try DecoderDescription(deepseek: config, family: "deepseek-v2", scoring: .softmax)
    }
}

/// DeepSeek-V3 and R1, Kimi K2: latent attention, experts by sigmoid with a bias on the choice. The layers behind the last one, which
/// predict tokens further ahead, are not needed.
enum DeepseekV3Family: DecoderFamily {
    static let architectures = ["DeepseekV3ForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(deepseek: config, family: "deepseek-v3", scoring: .sigmoid)
        let extra = try config.int("num_nextn_predict_layers", in: 0...16, default: 0)
        decoder.ignoredTensors += (0..<extra).map { "*layers.\(decoder.layers.count + $0).*" }
        return decoder
    }
}

extension DecoderDescription {
    fileprivate init(deepseek config: ConfigReader, family: String, scoring: RoutingSpec.Scoring) throws(LoadError) {
        try self.init(config: config, family: family, rope: nil)
        let latent = try LatentAttentionDescription(config, positions: &maxPositions)
        for index in layers.indices { layers[index].mixer = .latent(latent) }
        if try config.int(optional: "n_routed_experts", in: 0...1 << 16) ?? 0 > 0 { try setDeepseekMixture(config, scoring: scoring) }
    }
}

extension LatentAttentionDescription {
    /// - Parameter positions: the model's own longest text; becomes what its rotation is scaled for.
    init(_ config: ConfigReader, positions: inout Int) throws(LoadError) {
        let rank = try config.int("kv_lora_rank", in: 2...1 << 14)
        let plain = try config.int("qk_nope_head_dim", in: 2...512), rotary = try config.int("qk_rope_head_dim", in: 2...512)
        let valueDimension = try config.int("v_head_dim", in: 2...512)
        for (key, value) in [("kv_lora_rank", rank), ("qk_nope_head_dim", plain), ("qk_rope_head_dim", rotary), ("v_head_dim", valueDimension)]
        where value % 2 != 0 { throw config.error(key, "is \(value), but must be even") }
        var settings = try RopeSettings(config, headDimension: rotary, maxPositions: positions)
        settings.style = try config.bool("rope_interleave", default: true) ? .interleaved : .half
        positions = min(1 << 30, try settings.longestText())
        self.init(
            heads: try config.int("num_attention_heads", in: 1...4096), queryRank: try config.int(optional: "q_lora_rank", in: 2...1 << 16),
            rank: rank, plain: plain, rotary: rotary, valueDimension: valueDimension, rope: try settings.frequencies(),
            scale: try Self.scale(settings) / Float(plain + rotary).squareRoot())
        bias = Bias(try config.bool("attention_bias", default: false))
    }

    /// YaRN's attention factor for all dims, squared: cos and sin carry it for the rotated ones only as far as `mscale` and
    /// `mscale_all_dim` differ.
    private static func scale(_ settings: RopeSettings) throws(LoadError) -> Float {
        guard let (type, reader) = settings.scaling, type == "yarn", let all = try reader.double(optional: "mscale_all_dim"), all != 0 else { return 1 }
        let factor = try reader.double("factor", default: 1)
        guard factor > 0, factor.isFinite else { throw reader.error("factor", "is \(factor), but must be above 0") }
        let scale = factor <= 1 ? 1 : 0.1 * all * log(factor) + 1
        return Float(scale * scale)
    }
}
