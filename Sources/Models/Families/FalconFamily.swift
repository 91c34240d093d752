import Compute
import Weights

/// Falcon in its four kinds: 7B (multi-query, one norm for both branches), 40B and 180B (grouped queries, two norms), Falcon2-11B (grouped,
/// one norm), RW-1B (ALiBi, one branch after the other).
enum FalconFamily: DecoderFamily {
    static let architectures = ["FalconForCausalLM", "RWForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        let usesALiBi = try config.bool("alibi", default: false)
        var decoder = try DecoderDescription(
            config: config, family: "falcon", norm: .layer, rope: usesALiBi ? nil : .half, activation: "gelu", mlp: .plain, tiesEmbeddings: true)
        let isNew = try config.bool("new_decoder_architecture", default: false)
        let isMultiQuery = try config.bool("multi_query", default: true)
        let isParallel = try config.bool("parallel_attn", default: true)
        let norms = try config.int("num_ln_in_parallel_attn", in: 1...2, default: isNew ? 2 : 1)
        let heads = try config.int("num_attention_heads", "n_head", in: 1...4096)
        let kvHeads = isNew ? try config.int("num_kv_heads", "n_head_kv", in: 1...4096, default: heads) : isMultiQuery ? 1 : heads
        guard heads % kvHeads == 0 else { throw config.error("num_kv_heads", "is \(kvHeads), which does not divide the \(heads) heads") }
        decoder.eachAttention {
            $0.kvHeads = kvHeads
            $0.projection = .grouped
            // The published code adds the biases before it divides by the root of the head's size.
            if usesALiBi { $0.alibi = ALiBi(scale: 1 / Float($0.headDimension).squareRoot()) }
        }
        if isNew || isParallel { decoder.setForm(.parallel(sharesNorm: !(isNew && norms == 2))) }
        let bias = Bias(try config.bool("bias", default: false))
        decoder.setBiases(projection: bias, output: bias, mlp: bias)
        decoder.names.root = "transformer"
        decoder.names.embedding = "word_embeddings"
        decoder.names.layers = "h"
        decoder.names.finalNorm = "ln_f"
        if isNew && norms == 2 {
            decoder.names.attentionNorm = "ln_attn"
            decoder.names.mlpNorm = "ln_mlp"
        }
        decoder.names.queryKeyValue = "self_attention.query_key_value"
        decoder.names.attentionOutput = "self_attention.dense"
        decoder.names.up = "mlp.dense_h_to_4h"
        decoder.names.down = "mlp.dense_4h_to_h"
        return decoder
    }
}
