import Compute
import Weights

/// BLOOM: ALiBi instead of positions, a norm on the embeddings, a fused projection laid out head by head.
enum BloomFamily: DecoderFamily {
    static let architectures = ["BloomForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(
            config: config, family: "bloom", norm: .layer, rope: nil, activation: "gelu_new", mlp: .plain, tiesEmbeddings: true)
        if try config.bool("apply_residual_connection_post_layernorm", default: false) { decoder.setForm(.normedResidual) }
        decoder.setBiases(projection: .required, output: .required, mlp: .required)
        decoder.eachAttention {
            $0.projection = .grouped
            $0.alibi = ALiBi()
        }
        decoder.embedding.hasNorm = true
        decoder.names.root = "transformer"
        decoder.names.embedding = "word_embeddings"
        decoder.names.embeddingNorm = "word_embeddings_layernorm"
        decoder.names.layers = "h"
        decoder.names.finalNorm = "ln_f"
        decoder.names.queryKeyValue = "self_attention.query_key_value"
        decoder.names.attentionOutput = "self_attention.dense"
        decoder.names.up = "mlp.dense_h_to_4h"
        decoder.names.down = "mlp.dense_4h_to_h"
        return decoder
    }
}
