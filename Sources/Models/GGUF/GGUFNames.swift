/// GGUF's tensor names as names in the hub's style, so that adapters and errors speak of the same modules as for a hub folder.
enum GGUFNames {
    /// nil for names that stay.
    static func hubName(_ name: String) -> String? {
        if let whole = ends[name] { return whole }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        if parts.count == 4, parts[2] == "attn_sinks" { return "model.layers.\(parts[1]).self_attn.sinks" }
        guard parts.count >= 3, parts[0] == "blk", let module = modules[String(parts[2])] else { return nil }
        return "model.layers.\(parts[1]).\(module)" + (parts.count > 3 ? "." + parts[3...].joined(separator: ".") : "")
    }

    /// The decoder's names under which tensors appear.
    static let decoder: DecoderNames = {
        var names = DecoderNames()
        names.attentionOutputNorm = "attention_output_norm"
        names.mlpOutputNorm = "mlp_output_norm"
        return names
    }()

    private static let ends: [String: String] = [
        "token_embd.weight": "model.embed_tokens.weight", "token_embd_norm.weight": "model.embed_norm.weight",
        "token_embd_norm.bias": "model.embed_norm.bias", "position_embd.weight": "model.embed_positions.weight",
        "output_norm.weight": "model.norm.weight", "output_norm.bias": "model.norm.bias", "output.weight": "lm_head.weight",
        "output.bias": "lm_head.bias",
    ]

    private static let modules: [String: String] = [
        "attn_norm": "input_layernorm", "attn_norm_2": "second_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj", "attn_qkv": "self_attn.qkv_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
        "attn_k_norm": "self_attn.k_norm", "post_attention_norm": "attention_output_norm",
        "ffn_norm": "post_attention_layernorm", "post_ffw_norm": "mlp_output_norm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj", "ffn_gate_inp": "mlp.gate", "ffn_gate_exps": "mlp.experts.gate_proj", "ffn_up_exps": "mlp.experts.up_proj",
        "ffn_down_exps": "mlp.experts.down_proj", "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
        "ffn_gate_shexp": "mlp.shared_expert.gate_proj", "ffn_up_shexp": "mlp.shared_expert.up_proj", "ffn_down_shexp": "mlp.shared_expert.down_proj",
        "exp_probs_b": "mlp.gate.e_score_correction_bias",
    ]
}
