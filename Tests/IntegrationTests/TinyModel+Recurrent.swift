import JSON
import Tensors

/// Models with layers that keep a state instead of keys and values.
extension TinyModel {
    var isRecurrent: Bool { self == .lfm2 || self == .qwen3Next }

    var recurrentConfig: [(String, JSONValue)] {
        if self == .lfm2 {
            return [
                ("architectures", ["Lfm2ForCausalLM"]), ("conv_L_cache", 3), ("block_auto_adjust_ff_dim", false),
                ("layer_types", ["conv", "full_attention", "conv"]),
            ]
        }
        return [
            ("architectures", ["Qwen3NextForCausalLM"]), ("linear_num_key_heads", 2), ("linear_num_value_heads", 4), ("linear_key_head_dim", 16),
            ("linear_value_head_dim", 16), ("linear_conv_kernel_dim", 4), ("num_experts", 0),
            ("layer_types", ["linear_attention", "full_attention", "linear_attention"]),
        ]
    }

    func recurrentTensors() throws -> [(String, TensorView)] {
        var random = SeededGenerator(seed: 21)
        var tensors: [(String, TensorView)] = []
        func uniform(_ name: String, _ shape: Shape, around centre: Float, within range: Float) throws {
            let values = (0..<(shape.elementCount ?? 0)).map { _ in centre + Float.random(in: -range...range, using: &random) }
            tensors.append((name, try .encoded(values, shape, .bf16)))
        }
        func matrix(_ name: String, _ rows: Int, _ columns: Int) throws {
            try uniform(name + ".weight", [rows, columns], around: 0, within: 1.8 / Float(columns).squareRoot())
        }
        let hidden = Self.hidden, queries = Self.heads * Self.headDimension, keys = Self.kvHeads * Self.headDimension
        let isQwen = self == .qwen3Next
        // Qwen3-Next's norms multiply by one more than their weights.
        func norm(_ name: String, _ count: Int) throws { try uniform(name + ".weight", [count], around: isQwen ? 0 : 1, within: 0.3) }
        try matrix("model.embed_tokens", Self.vocabulary, hidden)
        for layer in 0..<Self.layers {
            let prefix = "model.layers.\(layer)."
            try norm(prefix + (isQwen ? "input_layernorm" : "operator_norm"), hidden)
            try norm(prefix + (isQwen ? "post_attention_layernorm" : "ffn_norm"), hidden)
            switch (layer, isQwen) {
            case (1, _):
                try matrix(prefix + "self_attn.q_proj", isQwen ? 2 * queries : queries, hidden)
                try matrix(prefix + "self_attn.k_proj", keys, hidden)
                try matrix(prefix + "self_attn.v_proj", keys, hidden)
                try matrix(prefix + (isQwen ? "self_attn.o_proj" : "self_attn.out_proj"), hidden, queries)
                for part in ["q", "k"] { try norm(prefix + "self_attn.\(part)_\(isQwen ? "norm" : "layernorm")", Self.headDimension) }
            case (_, true):
                let net = prefix + "linear_attn."
                try matrix(net + "in_proj_qkvz", 192, hidden)
                try matrix(net + "in_proj_ba", 8, hidden)
                try uniform(net + "conv1d.weight", [128, 1, 4], around: 0, within: 1)
                try uniform(net + "A_log", [4], around: -1, within: 1)
                try uniform(net + "dt_bias", [4], around: 0, within: 1)
                try uniform(net + "norm.weight", [16], around: 1, within: 0.3)
                try matrix(net + "out_proj", hidden, 64)
            case (_, false):
                try matrix(prefix + "conv.in_proj", 3 * hidden, hidden)
                try uniform(prefix + "conv.conv.weight", [hidden, 1, 3], around: 0, within: 1)
                try matrix(prefix + "conv.out_proj", hidden, hidden)
            }
            let mlp = isQwen ? ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"] : ["feed_forward.w1", "feed_forward.w3", "feed_forward.w2"]
            try matrix(prefix + mlp[0], Self.intermediate, hidden)
            try matrix(prefix + mlp[1], Self.intermediate, hidden)
            try matrix(prefix + mlp[2], hidden, Self.intermediate)
        }
        try norm(isQwen ? "model.norm" : "model.embedding_norm", hidden)
        return tensors
    }
}
