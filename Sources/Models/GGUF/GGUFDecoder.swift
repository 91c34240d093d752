import Compute
import Tensors
package import Weights

/// GGUF: one set of keys and tensor names for all architectures (`general.architecture` is the keys' prefix). What a model is made of is
/// mostly told by which tensors are there. Tensors are shown under names of the hub's style, so that the same decoder takes them.
package enum GGUFDecoder {
    package static func hubName(_ name: String) -> String? { GGUFNames.hubName(name) }

    /// Architectures whose queries and keys llama.cpp's converter reorders into adjacent rotary pairs.
    static let permutedArchitectures: Set = [
        "llama", "mistral", "mistral3", "arcee", "baichuan", "internlm2", "minicpm", "granite", "granitemoe", "smollm3", "olmo", "deepseek",
    ]

    package static var supportedArchitectures: [String] { GGUFArchitecture.all.keys.sorted() }

    package static func describe(_ metadata: GGUFMetadata, _ checkpoint: Checkpoint) throws(LoadError) -> DecoderDescription {
        let name = try metadata.architecture
        guard let architecture = GGUFArchitecture.all[name] else {
            throw LoadError.unsupported(
                file: metadata.path, reason: "architecture '\(name)' is not supported; supported are \(supportedArchitectures.joined(separator: ", "))")
        }
        let reader = GGUFReader(name: name, architecture: architecture, config: try metadata.model, checkpoint: checkpoint)
        return try reader.description()
    }
}

/// One file's metadata and table of tensors, read as a decoder's description.
struct GGUFReader {
    let name: String
    let architecture: GGUFArchitecture
    let config: ConfigReader
    let checkpoint: Checkpoint

    func has(_ module: String, layer: Int = 0) -> Bool {
        checkpoint.contains("model.layers.\(layer).\(module).weight") || checkpoint.contains("model.layers.\(layer).\(module)")
    }

    func description() throws(LoadError) -> DecoderDescription {
        let hidden = try config.int("embedding_length", in: 1...1 << 20)
        let layerCount = try config.int("block_count", in: 1...1024)
        let maxPositions = try config.int("context_length", in: 1...1 << 30, default: 2048)
        guard let embedding = checkpoint.record("model.embed_tokens.weight"), embedding.shape.rank == 2 else {
            throw LoadError.missingTensor(name: "token_embd.weight", file: config.file)
        }
        var layers: [LayerDescription] = []
        for index in 0..<layerCount {
            var layer = LayerDescription(.attention(try attention(layer: index, of: layerCount, hidden: hidden, maxPositions: maxPositions)), try feedForward(layer: index))
            layer.form = form
            layer.residualScale = try config.float("residual_scale", default: 1)
            layers.append(layer)
        }
        var decoder = DecoderDescription(
            family: name, hiddenSize: hidden, vocabularySize: embedding.shape[0], maxPositions: maxPositions, layers: layers, norm: try norm(),
            tiesEmbeddings: !checkpoint.contains("lm_head.weight"), headBias: .ifPresent, names: GGUFNames.decoder,
            ignoredTensors: ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight", "*.attn_rot_embd"])
        if case .parallel(false) = form, has("second_layernorm") {
            // Falcon 40B: attention has the second norm, the MLP the first.
            decoder.names.attentionNorm = "second_layernorm"
            decoder.names.mlpNorm = "input_layernorm"
        }
        // Seed-OSS and gpt-oss: the norm before the MLP under another name.
        if form == .preNorm, has("attention_output_norm") { decoder.names.mlpNorm = "attention_output_norm" }
        decoder.embedding.hasNorm = checkpoint.contains("model.embed_norm.weight")
        decoder.embedding.scale = try config.float("embedding_scale", default: architecture.scalesEmbedding ? Float(hidden).squareRoot() : 1)
        if let positions = checkpoint.record("model.embed_positions.weight"), positions.shape.rank == 2 {
            decoder.embedding.positions = (offset: 0, rows: positions.shape[0])
        }
        decoder.logitSoftcap = try config.float("final_logit_softcapping", default: 0)
        decoder.logitScale = try logitScale()
        return decoder
    }

    private func logitScale() throws(LoadError) -> Float {
        guard let scale = try config.float(optional: "logit_scale"), scale != 0 else { return 1 }
        return architecture.dividesLogits ? 1 / scale : scale
    }

    private func norm() throws(LoadError) -> NormDescription {
        var norm: NormDescription
        if let epsilon = try config.float(optional: "attention.layer_norm_epsilon") {
            norm = NormDescription(.layer, epsilon: epsilon)
        } else {
            norm = NormDescription(.rms(offset: 0), epsilon: try config.float("attention.layer_norm_rms_epsilon", default: 1e-5))
        }
        norm.hasWeight = checkpoint.contains("model.norm.weight")
        return norm
    }

    private var form: BlockForm {
        let hasInput = has("input_layernorm"), hasOutput = has("attention_output_norm") && has("mlp_output_norm")
        if hasOutput { return hasInput ? .sandwich : .normedOutputs }
        if !hasInput { return .preNorm }
        if has("second_layernorm") { return .parallel(sharesNorm: false) }
        if !has("post_attention_layernorm"), !has("attention_output_norm") { return .parallel(sharesNorm: true) }
        let isParallel = architecture.isParallel || ((try? config.bool(optional: "use_parallel_residual")) ?? false)
        return isParallel ? .parallel(sharesNorm: false) : .preNorm
    }

    // MARK: Feed-forward

    private func feedForward(layer: Int) throws(LoadError) -> FeedForward {
        if has("mlp.gate", layer: layer) { return .mixture(try mixture(layer: layer)) }
        guard let up = checkpoint.record("model.layers.\(layer).mlp.up_proj.weight"), up.shape.rank == 2,
            let down = checkpoint.record("model.layers.\(layer).mlp.down_proj.weight"), down.shape.rank == 2
        else { throw LoadError.missingTensor(name: "blk.\(layer).ffn_up.weight", file: config.file) }
        // Phi-3 and GLM store gate and up in one tensor under up's name.
        let isFused = up.shape[0] == 2 * down.shape[1]
        let form: MLPDescription.Form = has("mlp.gate_proj", layer: layer) ? .gated : isFused ? .gatedStackedUp : .plain
        return .dense(MLPDescription(intermediateSize: down.shape[1], activation: architecture.activation, form: form, bias: .ifPresent))
    }

    private func mixture(layer: Int) throws(LoadError) -> MixtureDescription {
        let experts = try config.int("expert_count", in: 1...4096), chosen = try config.int("expert_used_count", in: 1...4096)
        var routing = RoutingSpec(experts: experts, chosen: chosen, scoring: architecture.scoring)
        switch try config.int("expert_gating_func", default: 0) {
        case 0: break
        case 1: routing.scoring = .softmax
        case 2: routing.scoring = .sigmoid
        case 3: routing.scoring = .softmaxOfChosen
        case let other: throw config.error("expert_gating_func", "is \(other), which is not known")
        }
        routing.normalises = try config.bool("expert_weights_norm", default: architecture.normalisesExperts)
        routing.scale = try config.float("expert_weights_scale", default: 1)
        if routing.scale == 0 { routing.scale = 1 }
        guard let down = checkpoint.record("model.layers.\(layer).mlp.experts.down_proj.weight"), down.shape.rank == 3 else {
            throw LoadError.missingTensor(name: "blk.\(layer).ffn_down_exps.weight", file: config.file)
        }
        var mixture = MixtureDescription(
            experts: experts, intermediateSize: down.shape[2], activation: architecture.activation, routing: routing,
            layout: .stackedSeparate(gate: "mlp.experts.gate_proj", up: "mlp.experts.up_proj", down: "mlp.experts.down_proj"), router: "mlp.gate")
        mixture.routerBias = .ifPresent
        mixture.expertBias = .ifPresent
        if checkpoint.contains("model.layers.\(layer).mlp.gate.e_score_correction_bias.bias") {
            mixture.correctionBias = "mlp.gate.e_score_correction_bias.bias"
        }
        if let shared = checkpoint.record("model.layers.\(layer).mlp.shared_expert.down_proj.weight"), shared.shape.rank == 2 {
            mixture.shared = SharedExpertDescription(
                MLPDescription(intermediateSize: shared.shape[1], activation: architecture.activation), module: "mlp.shared_expert",
                gate: has("mlp.shared_expert_gate", layer: layer) ? "mlp.shared_expert_gate" : nil)
        }
        return mixture
    }
}
