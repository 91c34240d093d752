import Glibc
import JSON
import TemporaryPath
import Tensors
import Weights

/// A one-layer Llama in a temporary folder, to be spoilt by tests.
struct TinyCheckpoint: ~Copyable {
    let folder: String
    var config: [String: JSONValue] = [
        "architectures": ["LlamaForCausalLM"], "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "intermediate_size": 48, "vocab_size": 40, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
        "hidden_act": "silu", "tie_word_embeddings": false,
    ]
    var tensors: [(name: String, dtype: DType, shape: Shape)] = [
        ("model.embed_tokens.weight", .f32, [40, 32]), ("model.norm.weight", .f32, [32]), ("lm_head.weight", .f32, [40, 32]),
        ("model.layers.0.input_layernorm.weight", .f32, [32]), ("model.layers.0.post_attention_layernorm.weight", .f32, [32]),
        ("model.layers.0.self_attn.q_proj.weight", .f32, [32, 32]), ("model.layers.0.self_attn.k_proj.weight", .f32, [16, 32]),
        ("model.layers.0.self_attn.v_proj.weight", .f32, [16, 32]), ("model.layers.0.self_attn.o_proj.weight", .f32, [32, 32]),
        ("model.layers.0.mlp.gate_proj.weight", .f32, [48, 32]), ("model.layers.0.mlp.up_proj.weight", .f32, [48, 32]),
        ("model.layers.0.mlp.down_proj.weight", .f32, [32, 48]),
    ]

    init() throws {
        guard let folder = temporaryFolder("needletail-models") else { throw TinyError() }
        self.folder = folder
    }

    struct TinyError: Error {}

    deinit {
        unlink("\(folder)/config.json")
        unlink("\(folder)/model.safetensors")
        rmdir(folder)
    }

    func write() throws {
        let text = JSONValue.object(JSONObject(config.map { ($0.key, $0.value) })).text
        guard let file = fopen("\(folder)/config.json", "w") else { throw TinyError() }
        fputs(text, file)
        fclose(file)
        let views = try tensors.map { tensor in
            (tensor.name, try TensorView.make(tensor.dtype, tensor.shape) { _ in })
        }
        try SafetensorsWriter.write(to: "\(folder)/model.safetensors", views)
    }
}
