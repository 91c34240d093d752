import JSON
import Tensors
import Testing
import Weights

/// PEFT folders: what is read, and what is refused and in which words.
@Suite struct AdapterTests {
    private static let plain = "\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8"

    private func open(
        _ config: String = plain, _ tensors: [(String, DType, Shape)] = pair("base_model.model.model.layers.0.self_attn.q_proj"),
        extra: [String] = [], _ body: (AdapterCheckpoint) throws -> Void = { _ in }
    ) throws {
        try withFolder { folder in
            try write("{\(config)}", to: folder + "/adapter_config.json")
            for name in extra { try write("", to: folder + "/" + name) }
            if !tensors.isEmpty {
                try SafetensorsWriter.write(
                    to: folder + "/adapter_model.safetensors", try tensors.map { ($0.0, try tensor($0.1, $0.2)) })
            }
            try body(try AdapterCheckpoint(folder: folder))
        }
    }

    private static func pair(_ name: String, infix: String = "", rank: Int = 4) -> [(String, DType, Shape)] {
        [("\(name).lora_A\(infix).weight", .f32, [rank, 16]), ("\(name).lora_B\(infix).weight", .bf16, [32, rank])]
    }

    @Test func namesAndScales() throws {
        for (prefix, infix) in [("base_model.model.", ""), ("base_model.model.", ".default"), ("", "")] {
            try open(Self.plain, Self.pair(prefix + "model.layers.0.self_attn.q_proj", infix: infix)) { adapter in
                #expect(adapter.parts.map(\.module) == ["model.layers.0.self_attn.q_proj"])
                #expect(adapter.parts[0].down.shape == [4, 16] && adapter.parts[0].up.shape == [32, 4])
                #expect(adapter.parts[0].scale == 2)
            }
        }
        try open(Self.plain + ", \"use_rslora\": true") { #expect($0.parts[0].scale == 4) }
        let patterns = """
            "r": 4, "lora_alpha": 8, "rank_pattern": {"down_proj": 2, "layers\\\\.[12]\\\\..*k_proj": 1}, "alpha_pattern": {"^model\\\\.layers\\\\.1\\\\.mlp\\\\.down_proj": 5}
            """
        let tensors =
            Self.pair("model.layers.0.mlp.down_proj", rank: 2) + Self.pair("model.layers.1.mlp.down_proj", rank: 2)
            + Self.pair("model.layers.1.self_attn.k_proj", rank: 1) + Self.pair("model.layers.0.self_attn.k_proj")
        try open(patterns, tensors) { adapter in
            #expect(Dictionary(uniqueKeysWithValues: adapter.parts.map { ($0.module, $0.scale) }) == [
                "model.layers.0.mlp.down_proj": 4, "model.layers.1.mlp.down_proj": 2.5, "model.layers.1.self_attn.k_proj": 8,
                "model.layers.0.self_attn.k_proj": 2,
            ])
        }
    }

    static let refused: [(config: String, mentions: String)] = [
        ("\"peft_type\": \"IA3\"", "peft_type"), ("\"use_dora\": true", "use_dora"), ("\"lora_bias\": true", "lora_bias"),
        ("\"bias\": \"all\"", "bias"), ("\"modules_to_save\": [\"lm_head\"]", "modules_to_save"),
        ("\"target_parameters\": [\"experts.gate_up_proj\"]", "target_parameters"), ("\"layer_replication\": [[0, 2]]", "layer_replication"),
        ("\"alora_invocation_tokens\": [1]", "alora_invocation_tokens"), ("\"init_lora_weights\": \"pissa_niter_4\"", "init_lora_weights"),
        ("\"trainable_token_indices\": {\"embed_tokens\": [1]}", "trainable_token_indices"), ("\"r\": 0", "'r'"), ("\"r\": 1e9", "'r'"),
        ("\"lora_alpha\": \"big\"", "lora_alpha"), ("\"rank_pattern\": {\"q_proj\": 0.5}", "rank_pattern"),
        ("\"rank_pattern\": {\"(\": 4}", "rank_pattern"), ("\"r\": 8", "rank 8"),
    ]

    @Test(arguments: refused)
    func refusals(_ config: String, _ mentions: String) throws {
        #expect(message { try open("\"r\": 4, " + config) }.contains(mentions))
    }

    @Test func harmlessKeysAreTaken() throws {
        try open(Self.plain + ", \"modules_to_save\": [], \"layer_replication\": null, \"bias\": \"none\", \"init_lora_weights\": \"gaussian\", \"use_dora\": false")
    }

    @Test func files() throws {
        #expect(message { _ = try AdapterCheckpoint(folder: "/no/such/folder") }.contains("no adapter found"))
        #expect(message { try open(Self.plain, []) }.contains("adapter_model.safetensors"))
        #expect(message { try open(Self.plain, [], extra: ["adapter_model.bin"]) }.contains("safe_serialization"))
    }

    @Test func tensors() throws {
        let name = "base_model.model.model.layers.0.self_attn.q_proj"
        let both = Self.pair(name)
        let cases: [(tensors: [(String, DType, Shape)], mentions: String)] = [
            ([both[0]], "lora_B"), ([both[1]], "lora_A"), (both + Self.pair(name, infix: ".default"), "another name"),
            (both + [(name + ".lora_magnitude_vector", .f32, [32])], "DoRA"),
            (both + [("base_model.model.model.embed_tokens.lora_embedding_A", .f32, [4, 8])], "embeddings"),
            (both + [("base_model.model.lm_head.modules_to_save.weight", .f32, [4, 8])], "modules_to_save"),
            (both + [(name + ".lora_B.bias", .f32, [32])], "lora_bias"), (both + [("model.norm.weight", .f32, [32])], "model.norm.weight"),
            ([(both[0].0, .i32, [4, 16]), both[1]], "i32"), ([(both[0].0, .f32, [4, 4, 4]), both[1]], "linear layers"),
            ([both[0], (both[1].0, .f32, [32, 3])], "rank 4"),
        ]
        for item in cases { #expect(message { try open(Self.plain, item.tensors) }.contains(item.mentions), "\(item.mentions)") }
    }
}
