import Compute
import Weights

/// GPT-2: layer norms, learned positions, one fused projection, weights stored `[inputs, outputs]`.
enum GPT2Family: DecoderFamily {
    static let architectures = ["GPT2LMHeadModel"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(gpt2: config, family: "gpt2", activation: "gelu_new")
        decoder.storesTransposed = true
        decoder.eachAttention { $0.projection = .stacked }
        if try !config.bool("scale_attn_weights", default: true) { decoder.eachAttention { $0.scale = 1 } }
        if try config.bool("scale_attn_by_inverse_layer_idx", default: false) {
            for index in decoder.layers.indices {
                guard let scale = decoder.layers[index].attention?.effectiveScale else { continue }
                decoder.layers[index].attention?.scale = scale / Float(index + 1)
            }
        }
        return decoder
    }
}

/// GPTBigCode (StarCoder, SantaCoder): GPT-2 with multi-query attention and weights stored `[outputs, inputs]`.
enum GPTBigCodeFamily: DecoderFamily {
    static let architectures = ["GPTBigCodeForCausalLM"]

    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        var decoder = try DecoderDescription(gpt2: config, family: "gpt-bigcode", activation: "gelu_pytorch_tanh")
        let isMultiQuery = try config.bool("multi_query", default: true)
        let isScaled = try config.bool("scale_attn_weights", default: true)
        decoder.eachAttention {
            $0.kvHeads = isMultiQuery ? 1 : $0.heads
            $0.projection = isMultiQuery ? .stacked : .grouped
            if !isScaled { $0.scale = 1 }
        }
        return decoder
    }
}

extension DecoderDescription {
    /// What GPT-2 and its relatives share.
    fileprivate init(gpt2 config: ConfigReader, family: String, activation: String) throws(LoadError) {
        try self.init(
            config: config, family: family, norm: .layer, rope: nil, activation: activation, mlp: .plain, tiesEmbeddings: true)
        setBiases(projection: .required, output: .required, mlp: .required)
        embedding.positions = (offset: 0, rows: maxPositions)
        names.root = "transformer"
        names.embedding = "wte"
        names.positions = "wpe"
        names.layers = "h"
        names.finalNorm = "ln_f"
        names.attentionNorm = "ln_1"
        names.queryKeyValue = "attn.c_attn"
        names.attentionOutput = "attn.c_proj"
        names.mlpNorm = "ln_2"
        names.up = "mlp.c_fc"
        names.down = "mlp.c_proj"
    }
}
