import Weights

/// Families that can be written as GGUF, and GGUF's names of their tensors.
struct GGUFFamily {
    /// `general.architecture`.
    let architecture: String
    /// Rows of queries and keys are put in the order of interleaved rotation.
    let interleaves: Bool

    static let byHubName: [String: GGUFFamily] = [
        "LlamaForCausalLM": .init(architecture: "llama", interleaves: true),
        "LLaMAForCausalLM": .init(architecture: "llama", interleaves: true),
        "YiForCausalLM": .init(architecture: "llama", interleaves: true),
        "MistralForCausalLM": .init(architecture: "llama", interleaves: true),
        "Qwen2ForCausalLM": .init(architecture: "qwen2", interleaves: false),
        "Qwen3ForCausalLM": .init(architecture: "qwen3", interleaves: false),
    ]

    static func of(_ config: ConfigReader) throws -> GGUFFamily {
        let names = try config.strings(optional: "architectures") ?? []
        for name in names {
            if let family = byHubName[name] { return family }
        }
        throw QuantiseError(
            "\(names.first ?? "this architecture") cannot be written as GGUF yet, only \(byHubName.keys.sorted().joined(separator: ", ")); "
                + "use one of \(HubScheme.allCases.map(\.rawValue).joined(separator: ", ")), or start from a GGUF file")
    }

    private static let modules = [
        "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
        "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    ]

    /// nil for a tensor that GGUF has no place for.
    static func name(_ hub: String) -> String? {
        switch hub {
        case "model.embed_tokens.weight": return "token_embd.weight"
        case "model.norm.weight": return "output_norm.weight"
        case "lm_head.weight": return "output.weight"
        default: break
        }
        let parts = hub.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count >= 5, parts[0] == "model", parts[1] == "layers", let kind = parts.last,
            let module = modules[parts[3..<parts.count - 1].joined(separator: ".")]
        else { return nil }
        return "blk.\(parts[2]).\(module).\(kind)"
    }
}
