import Compute
import JSON
import Weights

/// MPT: ALiBi, one fused projection, layer norms without bias.
enum MPTFamily: DecoderFamily {
    static let architectures = ["MPTForCausalLM", "MptForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(
            config: config, family: "mpt", norm: .layer, rope: nil, activation: "gelu", mlp: .plain, tiesEmbeddings: true)
        let ratio = try config.int("expansion_ratio", in: 1...64, default: 4)
        let inner = ratio * decoder.hiddenSize
        decoder.eachMLP { $0.intermediateSize = inner }
        let bias: Bias = try config.bool("no_bias", default: true) ? .none : .ifPresent
        decoder.setBiases(projection: bias, output: bias, mlp: bias)
        if let attention = try config.object(optional: "attn_config") { try setAttention(&decoder, attention) } else { decoder.eachAttention { $0.projection = .stacked } }
        decoder.logitScale = try logitScale(config, decoder.hiddenSize)
        decoder.names.root = "transformer"
        decoder.names.embedding = "wte"
        decoder.names.layers = "blocks"
        decoder.names.finalNorm = "norm_f"
        decoder.names.attentionNorm = "norm_1"
        decoder.names.queryKeyValue = "attn.Wqkv"
        decoder.names.attentionOutput = "attn.out_proj"
        decoder.names.queryNorm = "attn.q_ln"
        decoder.names.keyNorm = "attn.k_ln"
        decoder.names.mlpNorm = "norm_2"
        decoder.names.up = "ffn.up_proj"
        decoder.names.down = "ffn.down_proj"
        return decoder
    }

    private static func setAttention(_ decoder: inout DecoderDescription, _ config: ConfigReader) throws(LoadError) {
        guard try config.bool("alibi", default: false) else {
            throw config.error("alibi", "is false: MPT with learned positions is not supported")
        }
        let exponent = try config.float("alibi_bias_max", default: 8)
        let clip = try config.float(optional: "clip_qkv"), scale = try config.float(optional: "softmax_scale")
        let hasNorm = try config.bool("qk_ln", default: false)
        let isMultiQuery = try config.string("attn_type", default: "multihead_attention") == "multiquery_attention"
        decoder.eachAttention {
            $0.projection = .stacked
            if isMultiQuery { $0.kvHeads = 1 }
            $0.alibi = ALiBi(maxExponent: exponent)
            $0.clip = clip
            $0.scale = scale
            if hasNorm { $0.headNorm = HeadNormDescription(.layer, .whole) }
        }
    }

    /// A number, or `inv_sqrt_d_model`.
    private static func logitScale(_ config: ConfigReader, _ hidden: Int) throws(LoadError) -> Float {
        guard let value = config.value("logit_scale"), value.double == nil else { return try config.float("logit_scale", default: 1) }
        guard value.string == "inv_sqrt_d_model" else { throw config.error("logit_scale", "must be a number or 'inv_sqrt_d_model'") }
        return 1 / Float(hidden).squareRoot()
    }
}
