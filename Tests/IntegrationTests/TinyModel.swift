import FoundationEssentials
import JSON
import Tensors
import Testing
import Weights

/// A decoder of a hundred thousand seeded random weights in every shape that changes how a step runs: made by the test, gone after it.
enum TinyModel: String, CaseIterable, CustomTestStringConvertible {
    /// Grouped-query attention, bf16 weights.
    case llama
    /// A window of 16 tokens in every layer, head stored apart.
    case mistral
    /// Biases; one layer of full attention between two with a window of 24: three KV cache groups.
    case qwen2
    /// Rotations that depend on the length of the text beyond 48 tokens.
    case dynamicRope
    /// GGUF with Q8_0 and Q4_0 matrices.
    case gguf
    /// A layer of attention between two short convolutions, whose states are small.
    case lfm2
    /// A layer of gated attention between two gated delta nets.
    case qwen3Next

    static let hidden = 64, heads = 4, kvHeads = 2, headDimension = 16, intermediate = 160, vocabulary = 257, layers = 3
    static let mistralWindow = 16
    static let maxPositions = 768

    var testDescription: String { rawValue }

    /// Writes the checkpoint into a temporary folder, which is gone after `body`, and gives `body` its path.
    func withCheckpoint<Result>(_ body: (String) async throws -> Result) async throws -> Result {
        let folder = FileManager.default.temporaryDirectory.path + "/integration-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        if self == .gguf {
            try GGUFWriter.write(to: folder + "/tiny.gguf", try tensors(), metadata: ggufMetadata)
            return try await body(folder + "/tiny.gguf")
        }
        var json = JSONWriter()
        json.value(.object(JSONObject(config)))
        try Data(json.bytes).write(to: URL(filePath: folder + "/config.json"))
        try SafetensorsWriter.write(to: folder + "/model.safetensors", try tensors())
        return try await body(folder)
    }

    // MARK: Configuration

    private var config: [(String, JSONValue)] {
        var config: [(String, JSONValue)] = [
            ("hidden_size", .int(Self.hidden)), ("num_hidden_layers", .int(Self.layers)), ("num_attention_heads", .int(Self.heads)),
            ("num_key_value_heads", .int(Self.kvHeads)), ("intermediate_size", .int(Self.intermediate)), ("hidden_act", "silu"),
            ("vocab_size", .int(Self.vocabulary)), ("max_position_embeddings", .int(Self.maxPositions)), ("rms_norm_eps", .double(1e-5)),
            ("rope_theta", .double(10_000)), ("torch_dtype", "bfloat16"), ("tie_word_embeddings", .bool(self != .mistral)),
        ]
        switch self {
        case .llama, .gguf: config.append(("architectures", ["LlamaForCausalLM"]))
        case .mistral: config += [("architectures", ["MistralForCausalLM"]), ("sliding_window", .int(Self.mistralWindow))]
        case .qwen2:
            config += [
                ("architectures", ["Qwen2ForCausalLM"]), ("use_sliding_window", true), ("sliding_window", 24),
                ("layer_types", ["sliding_attention", "full_attention", "sliding_attention"]),
            ]
        case .lfm2, .qwen3Next: config += recurrentConfig
        case .dynamicRope:
            config.removeAll { $0.0 == "max_position_embeddings" }
            config += [
                ("architectures", ["LlamaForCausalLM"]), ("max_position_embeddings", 48),
                ("rope_scaling", ["rope_type": "dynamic", "factor": 16]),
            ]
        }
        return config
    }

    private var ggufMetadata: [(String, GGUFValue)] {
        [
            ("general.architecture", .string("llama")), ("llama.embedding_length", .u32(UInt32(Self.hidden))),
            ("llama.block_count", .u32(UInt32(Self.layers))), ("llama.attention.head_count", .u32(UInt32(Self.heads))),
            ("llama.attention.head_count_kv", .u32(UInt32(Self.kvHeads))), ("llama.feed_forward_length", .u32(UInt32(Self.intermediate))),
            ("llama.context_length", .u32(UInt32(Self.maxPositions))), ("llama.attention.layer_norm_rms_epsilon", .f32(1e-5)),
        ]
    }

    // MARK: Tensors

    private func tensors() throws -> [(String, TensorView)] {
        if isRecurrent { return try recurrentTensors() }
        var random = SeededGenerator(seed: 20)
        var tensors: [(String, TensorView)] = []
        func matrix(_ hub: String, _ gguf: String, _ rows: Int, _ columns: Int, _ type: DType = .q8_0) throws {
            // About unit gain, so that layers and positions matter to the logits.
            let scale = 1.8 / Float(columns).squareRoot()
            let values = (0..<rows * columns).map { _ in Float.random(in: -scale...scale, using: &random) }
            let name = self == .gguf ? gguf : hub
            tensors.append((name + ".weight", try .encoded(values, [rows, columns], self == .gguf ? type : .bf16)))
        }
        func vector(_ name: String, _ count: Int, around centre: Float) throws {
            let values = (0..<count).map { _ in centre + Float.random(in: -0.3...0.3, using: &random) }
            tensors.append((name, try .encoded(values, [count], self == .gguf ? .f32 : .bf16)))
        }
        let queries = Self.heads * Self.headDimension, keys = Self.kvHeads * Self.headDimension
        try matrix("model.embed_tokens", "token_embd", Self.vocabulary, Self.hidden)
        for layer in 0..<Self.layers {
            let hub = "model.layers.\(layer).", gguf = "blk.\(layer)."
            try vector(self == .gguf ? gguf + "attn_norm.weight" : hub + "input_layernorm.weight", Self.hidden, around: 1)
            try matrix(hub + "self_attn.q_proj", gguf + "attn_q", queries, Self.hidden)
            try matrix(hub + "self_attn.k_proj", gguf + "attn_k", keys, Self.hidden)
            try matrix(hub + "self_attn.v_proj", gguf + "attn_v", keys, Self.hidden, .q4_0)
            if self == .qwen2 {
                for (part, count) in [("q", queries), ("k", keys), ("v", keys)] {
                    try vector(hub + "self_attn.\(part)_proj.bias", count, around: 0)
                }
            }
            try matrix(hub + "self_attn.o_proj", gguf + "attn_output", Self.hidden, queries, .q4_0)
            try vector(self == .gguf ? gguf + "ffn_norm.weight" : hub + "post_attention_layernorm.weight", Self.hidden, around: 1)
            try matrix(hub + "mlp.gate_proj", gguf + "ffn_gate", Self.intermediate, Self.hidden, .q4_0)
            try matrix(hub + "mlp.up_proj", gguf + "ffn_up", Self.intermediate, Self.hidden, .q4_0)
            try matrix(hub + "mlp.down_proj", gguf + "ffn_down", Self.hidden, Self.intermediate)
        }
        try vector(self == .gguf ? "output_norm.weight" : "model.norm.weight", Self.hidden, around: 1)
        if self == .mistral || self == .gguf { try matrix("lm_head", "output", Self.vocabulary, Self.hidden) }
        return tensors
    }
}
