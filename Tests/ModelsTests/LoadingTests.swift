import Compute
import JSON
import Models
import Tensors
import Testing
import Weights

/// A spoilt checkpoint is refused with an error that names what is wrong.
@Suite struct LoadingTests {
    private func load(_ checkpoint: borrowing TinyCheckpoint) throws {
        try checkpoint.write()
        let source = try ModelSource(path: checkpoint.folder)
        _ = try source.load(
            on: CPUBackend(.init(threadCount: 1, maxBatchedTokens: 64)), options: ModelOptions(cacheByteCount: 1 << 20, maxBatchedTokens: 64))
    }

    @Test func loadsAsItIs() throws {
        try load(TinyCheckpoint())
    }

    @Test func missingTensor() throws {
        var checkpoint = try TinyCheckpoint()
        checkpoint.tensors.removeAll { $0.name.hasSuffix("k_proj.weight") }
        let error = #expect(throws: LoadError.self) { try load(checkpoint) }
        #expect(String(describing: error).contains("model.layers.0.self_attn.k_proj.weight"))
    }

    @Test func misshapenTensor() throws {
        var checkpoint = try TinyCheckpoint()
        checkpoint.tensors[9].shape = [47, 32]
        let error = #expect(throws: LoadError.self) { try load(checkpoint) }
        #expect(String(describing: error).contains("gate_proj") && String(describing: error).contains("47"))
    }

    @Test func leftOverTensor() throws {
        var checkpoint = try TinyCheckpoint()
        checkpoint.tensors.append(("model.layers.0.self_attn.extra.weight", .f32, [4]))
        let error = #expect(throws: LoadError.self) { try load(checkpoint) }
        #expect(String(describing: error).contains("extra"))
    }

    @Test func wrongElementType() throws {
        var checkpoint = try TinyCheckpoint()
        checkpoint.tensors[5].dtype = .i32
        let error = #expect(throws: LoadError.self) { try load(checkpoint) }
        #expect(String(describing: error).contains("self_attn.q_proj.weight") && String(describing: error).contains("i32"))
    }

    static let absurd: [(String, JSONValue)] = [
        ("num_attention_heads", JSONValue.int(0)), ("num_attention_heads", 3), ("num_key_value_heads", 3), ("hidden_size", -32), ("hidden_size", "big"),
        ("num_hidden_layers", 1_000_000), ("rope_theta", -1.0), ("hidden_act", "swoosh"), ("head_dim", 15), ("vocab_size", 0), ("vocab_size", 41),
        ("rope_scaling", ["type": "sideways", "factor": 2.0]), ("rope_scaling", ["type": "linear", "factor": 0.0]),
        ("rope_scaling", ["rope_type": "llama3", "factor": 8.0]), ("rms_norm_eps", -1.0), ("partial_rotary_factor", 2.0),
        ("intermediate_size", 1e30),
    ]

    @Test(arguments: absurd)
    func absurdConfiguration(_ key: String, _ value: JSONValue) throws {
        var checkpoint = try TinyCheckpoint()
        checkpoint.config[key] = value
        #expect(throws: LoadError.self) { try load(checkpoint) }
    }

    /// An architecture that nobody knows is run as Llama where it looks like it, with a warning; else the error says what is supported.
    @Test func unknownArchitecture() throws {
        var checkpoint = try TinyCheckpoint()
        checkpoint.config["architectures"] = ["NobodyForCausalLM"]
        try load(checkpoint)
        let source = try ModelSource(path: checkpoint.folder)
        #expect(source.warnings.count == 1 && source.warnings[0].contains("NobodyForCausalLM"))
        checkpoint.tensors.removeAll { $0.name.contains("o_proj") }
        let error = #expect(throws: LoadError.self) { try load(checkpoint) }
        #expect(String(describing: error).contains("NobodyForCausalLM") && String(describing: error).contains("LlamaForCausalLM"))
    }

    @Test func cacheTooSmall() throws {
        let checkpoint = try TinyCheckpoint()
        try checkpoint.write()
        let source = try ModelSource(path: checkpoint.folder)
        #expect(throws: ModelError.self) {
            _ = try source.load(
                on: CPUBackend(.init(threadCount: 1, maxBatchedTokens: 64)), options: ModelOptions(cacheByteCount: 100, maxBatchedTokens: 64))
        }
    }

    /// Random edits of the configuration: an answer or an error, never a trap.
    @Test func mutatedConfigurationNeverTraps() throws {
        let keys = ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "intermediate_size", "vocab_size",
            "max_position_embeddings", "rope_theta", "rope_scaling", "rms_norm_eps", "sliding_window", "layer_types", "partial_rotary_factor", "num_local_experts", "num_experts", "n_routed_experts", "num_experts_per_tok",
            "moe_intermediate_size", "n_group", "topk_group", "first_k_dense_replace", "kv_lora_rank", "q_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim",
            "v_head_dim", "attn_config", "word_embed_proj_dim", "sliding_window_pattern", "no_rope_layers", "logits_scaling", "query_pre_attn_scalar",
            "multi_query", "new_decoder_architecture", "num_kv_heads", "alibi", "rope_parameters", "quantization_config"]
        let values: [JSONValue] = [0, -1, 1, 2, 3, 7, 64, 1e9, 1e300, -0.5, "x", nil, true, [1, 2], ["type": "yarn"], .int(.max), .int(.min),
            ["type": "yarn", "factor": 1e300], ["rope_type": "longrope", "short_factor": [1.0], "long_factor": []], ["type": "dynamic", "factor": -1]]
        let architectures = DecoderFamilies.supportedArchitectures
        let base = try TinyCheckpoint().config
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var config = base
            config["architectures"] = [.string(architectures.randomElement(using: &generator) ?? "")]
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                config[keys.randomElement(using: &generator) ?? ""] = values.randomElement(using: &generator)
            }
            let reader = ConfigReader(JSONObject(config.map { ($0.key, $0.value) }), file: "config.json")
            if let description = try? DecoderFamilies.describe(reader) { #expect(!description.layers.isEmpty) }
        }
    }
}
