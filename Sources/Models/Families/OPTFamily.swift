import Compute
import Weights

/// OPT: learned positions from row 2 on, layer norms before the branches, or after them in OPT-350m, which also has embeddings of a width
/// of their own.
enum OPTFamily: DecoderFamily {
    static let architectures = ["OPTForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(
            config: config, family: "opt", norm: .layer, rope: nil, activation: "relu", mlp: .plain, tiesEmbeddings: true)
        let isPreNorm = try config.bool("do_layer_norm_before", default: true)
        if !isPreNorm { decoder.setForm(.postNorm) }
        let removesNorm = try config.bool("_remove_final_layer_norm", default: false)
        decoder.hasFinalNorm = isPreNorm && !removesNorm
        decoder.norm.hasWeight = try config.bool("layer_norm_elementwise_affine", default: true)
        let bias = Bias(try config.bool("enable_bias", default: true))
        decoder.setBiases(projection: bias, output: bias, mlp: bias)
        decoder.embedding.positions = (offset: 2, rows: decoder.maxPositions + 2)
        let width = try config.int("word_embed_proj_dim", in: 1...1 << 20, default: decoder.hiddenSize)
        decoder.embedding.width = width == decoder.hiddenSize ? nil : width
        decoder.names.root = "model.decoder"
        decoder.names.finalNorm = "final_layer_norm"
        decoder.names.attentionNorm = "self_attn_layer_norm"
        decoder.names.attentionOutput = "self_attn.out_proj"
        decoder.names.mlpNorm = "final_layer_norm"
        decoder.names.up = "fc1"
        decoder.names.down = "fc2"
        return decoder
    }
}
