import Compute
import Tensors
import Weights

/// Architectures that no family claims: many are Llama under another name, which their configuration and tensors show.
enum UnknownFamily {
    /// The checkpoint as Llama with what its tensors add (biases, head norms, fused projections, second norms), or nil where it has not got
    /// Llama's parts. What the configuration says of other things is not known, so that the user must be warned.
    static func describe(_ config: ConfigReader, _ checkpoint: Checkpoint) throws(LoadError) -> DecoderDescription? {
        let root = DecoderNames().rooted(in: checkpoint).root
        let layer = (root.isEmpty ? "" : root + ".") + "layers.0."
        let has = { (name: String) in checkpoint.contains(layer + name + ".weight") }
        guard has("self_attn.q_proj") || has("self_attn.qkv_proj"), has("self_attn.o_proj"), has("input_layernorm"), has("mlp.down_proj"),
            has("mlp.up_proj") || has("mlp.gate_up_proj")
        else { return nil }
        let form: MLPDescription.Form = has("mlp.gate_up_proj") ? .gatedFused : has("mlp.gate_proj") ? .gated : .plain
        var decoder = try DecoderDescription(config: config, family: "llama-like", norm: try norm(config, checkpoint, layer), mlp: form)
        decoder.setBiases(projection: .ifPresent, output: .ifPresent, mlp: .ifPresent)
        decoder.headBias = .ifPresent
        if !checkpoint.contains("lm_head.weight") { decoder.tiesEmbeddings = true }
        let window = try config.slidingWindow()
        let slides = try config.slidingLayers(count: decoder.layers.count)
        for index in decoder.layers.indices where slides?[index] ?? true { decoder.layers[index].attention?.slidingWindow = window }
        try setAttention(&decoder, checkpoint, layer, has)
        if has("pre_feedforward_layernorm"), has("post_feedforward_layernorm") {
            decoder.setForm(.sandwich)
            decoder.names.mlpNorm = "pre_feedforward_layernorm"
        } else if !has("post_attention_layernorm") {
            decoder.setForm(.parallel(sharesNorm: true))
        }
        return decoder
    }

    private static func norm(_ config: ConfigReader, _ checkpoint: Checkpoint, _ layer: String) throws(LoadError) -> Norm.Kind {
        let isLayerNorm = checkpoint.contains(layer + "input_layernorm.bias") || (!config.has("rms_norm_eps") && config.has("layer_norm_eps"))
        return isLayerNorm ? .layer : .rms(offset: 0)
    }

    private static func setAttention(
        _ decoder: inout DecoderDescription, _ checkpoint: Checkpoint, _ layer: String, _ has: (String) -> Bool
    ) throws(LoadError) {
        let isFused = has("self_attn.qkv_proj"), isNormed = has("self_attn.q_norm")
        let normCount = checkpoint.record(layer + "self_attn.q_norm.weight")?.shape.elementCount
        let kind = decoder.norm.kind
        decoder.eachAttention {
            if isFused { $0.projection = .stacked }
            if isNormed { $0.headNorm = HeadNormDescription(kind, normCount == $0.headDimension ? .shared : .whole) }
        }
    }
}
