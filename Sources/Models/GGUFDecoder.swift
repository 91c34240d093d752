import Compute
import JSON
import Tensors
package import Weights

/// GGUF: one set of keys and tensor names for all architectures (`general.architecture` is the keys' prefix). Tensors are shown under the
/// hub's names, so that the same decoder takes them.
package enum GGUFDecoder {
    /// Architectures, and whether their rotary pairs lie side by side: llama.cpp permutes Llama's queries and keys so.
    static let architectures: [String: RopeFrequencies.Style] = ["llama": .interleaved, "qwen2": .half, "mistral": .interleaved]

    /// Architectures whose queries and keys llama.cpp's converter reorders.
    static let permutedArchitectures: Set = ["llama", "mistral"]

    package static func describe(_ metadata: GGUFMetadata, _ checkpoint: Checkpoint) throws(LoadError) -> DecoderDescription {
        let architecture = try metadata.architecture
        guard let style = architectures[architecture] else {
            throw LoadError.unsupported(
                file: metadata.path,
                reason: "architecture '\(architecture)' is not supported; supported are \(architectures.keys.sorted().joined(separator: ", "))")
        }
        let config = try metadata.model
        let hidden = try config.int("embedding_length", in: 1...1 << 20)
        let layerCount = try config.int("block_count", in: 1...1024)
        let heads = try config.int("attention.head_count", in: 1...4096)
        let kvHeads = try config.int("attention.head_count_kv", in: 1...4096, default: heads)
        guard heads % kvHeads == 0 else {
            throw config.error("attention.head_count_kv", "is \(kvHeads), which does not divide the head count \(heads)")
        }
        let headDimension = try config.int("attention.key_length", in: 2...512, default: hidden / heads)
        guard headDimension % 2 == 0, 2...512 ~= headDimension else {
            throw config.error("attention.key_length", "gives heads of \(headDimension) elements; they must be even and at most 512")
        }
        let valueLength = try config.int("attention.value_length", in: 2...512, default: headDimension)
        guard valueLength == headDimension else { throw config.error("attention.value_length", "differs from the key length") }
        let maxPositions = try config.int("context_length", in: 1...1 << 30, default: 2048)
        let experts = try config.int("expert_count", default: 0)
        guard experts == 0 else { throw config.error("expert_count", "is \(experts): mixtures of experts are not supported yet") }
        let window = try config.int(optional: "attention.sliding_window", in: 1...1 << 30)
        // `context_length` already counts what scaling adds.
        let rope = try rope(config, checkpoint, style: style, headDimension: headDimension, maxPositions: maxPositions)
        let attention = AttentionDescription(
            heads: heads, kvHeads: kvHeads, headDimension: headDimension, rope: rope, slidingWindow: window,
            projectionBias: .ifPresent, outputBias: .ifPresent)
        let mlp = MLPDescription(
            intermediateSize: try config.int("feed_forward_length", in: 1...1 << 22), activation: .silu, bias: .ifPresent)
        guard let embedding = checkpoint.record("model.embed_tokens.weight"), embedding.shape.rank == 2 else {
            throw LoadError.missingTensor(name: "token_embd.weight", file: metadata.path)
        }
        return DecoderDescription(
            family: architecture, hiddenSize: hidden, vocabularySize: embedding.shape[0], maxPositions: maxPositions,
            layers: Array(repeating: LayerDescription(attention: attention, mlp: mlp), count: layerCount), 
            norm: NormDescription(.rms(offset: 0), epsilon: try config.float("attention.layer_norm_rms_epsilon", default: 1e-5)),
            tiesEmbeddings: !checkpoint.contains("lm_head.weight"), ignoredTensors: ["rope_freqs.weight"])
    }

    private static func rope(
        _ config: ConfigReader, _ checkpoint: Checkpoint, style: RopeFrequencies.Style, headDimension: Int, maxPositions: Int
    ) throws(LoadError) -> RopeFrequencies {
        let theta = try config.double("rope.freq_base", default: 10_000)
        guard theta > 0, theta.isFinite else { throw config.error("rope.freq_base", "is \(theta), but must be above 0") }
        let dimension = try config.int("rope.dimension_count", in: 2...512, default: headDimension)
        guard dimension <= headDimension, dimension % 2 == 0 else {
            throw config.error("rope.dimension_count", "is \(dimension), but must be even and at most the head's \(headDimension)")
        }
        var rope = RopeSettings(theta: theta, rotaryDimension: dimension, style: style, maxPositions: maxPositions)
        if checkpoint.contains("rope_freqs.weight") {
            let divisors = try checkpoint.tensor("rope_freqs.weight")
            guard divisors.dtype == .f32, divisors.count == dimension / 2 else {
                throw LoadError.malformed(file: checkpoint.path, tensor: "rope_freqs.weight", reason: "must be f32 [\(dimension / 2)]")
            }
            rope.divisors = divisors.withUnsafeBytes { bytes in
                (0..<divisors.count).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
            }
        }
        rope.scaling = try scaling(config)
        return try rope.frequencies()
    }

    /// `rope.scaling.*` under the names that `RopeSettings` reads.
    private static func scaling(_ config: ConfigReader) throws(LoadError) -> (type: String, reader: ConfigReader)? {
        let type = try config.string("rope.scaling.type", default: "none")
        guard type != "none" else { return nil }
        var members = JSONObject()
        if let factor = try config.double(optional: "rope.scaling.factor") { members["factor"] = .double(factor) }
        if let original = try config.double(optional: "rope.scaling.original_context_length") {
            members["original_max_position_embeddings"] = .double(original)
        }
        if let factor = try config.double(optional: "rope.scaling.attn_factor"), type != "yarn" { members["attention_factor"] = .double(factor) }
        return (type, ConfigReader(members, file: config.file, path: "rope.scaling."))
    }

    /// The hub's name of a GGUF tensor; nil for names that stay.
    package static func hubName(_ name: String) -> String? {
        switch name {
        case "token_embd.weight": return "model.embed_tokens.weight"
        case "output_norm.weight": return "model.norm.weight"
        case "output.weight": return "lm_head.weight"
        default: break
        }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "blk", let module = modules[String(parts[2])] else { return nil }
        return "model.layers.\(parts[1]).\(module).\(parts[3])"
    }

    private static let modules = [
        "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
        "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    ]
}
