import Tensors
import Weights

/// Small valid files that mutation starts from.
enum Seeds {
    static func tensor(_ dtype: DType, _ shape: Shape) throws -> TensorView {
        try TensorView.make(dtype, shape) { bytes in
            for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index &* 37) }
        }
    }

    static func safetensors() throws -> [[UInt8]] {
        let plain = [("a", try tensor(.f32, [2, 3])), ("model.layers.0.b", try tensor(.bf16, [4])), ("c", try tensor(.i64, []))]
        let mixed = [
            ("w", try tensor(.f16, [4, 4])), ("bytes", try tensor(.u8, [2, 2, 3])), ("empty", try tensor(.f32, [0, 5])),
            ("f8", try tensor(.f8_e4m3, [3, 2])), ("flag", try tensor(.bool, [2])), ("f4", try tensor(.f4_e2m1, [2, 2])),
        ]
        return [
            try SafetensorsWriter.bytes(plain, metadata: [("format", "pt")]), try SafetensorsWriter.bytes(mixed),
            try SafetensorsWriter.bytes([("x\"\\é", try tensor(.f64, [1, 1, 2]))]), try SafetensorsWriter.bytes([]),
        ]
    }

    static func gguf() throws -> [[UInt8]] {
        let metadata: [(String, GGUFValue)] = [
            ("general.architecture", .string("llama")), ("llama.block_count", .u32(2)), ("llama.rope.freq_base", .f32(10000)),
            ("u8", .u8(1)), ("i8", .i8(-1)), ("u16", .u16(2)), ("i16", .i16(-2)), ("u64", .u64(.max)), ("i64", .i64(.min)), ("f64", .f64(1.5)),
            ("flag", .bool(true)), ("list", .i32s([1, 2, 3])), ("tokenizer.ggml.model", .string("gpt2")),
            ("tokenizer.ggml.tokens", .strings(["<s>", "a", "b", "ab"])), ("tokenizer.ggml.token_type", .i32s([3, 1, 1, 1])),
            ("tokenizer.ggml.scores", .f32s([0, -1, -2, -3])), ("tokenizer.ggml.merges", .strings(["a b"])),
            ("tokenizer.ggml.bos_token_id", .u32(0)), ("tokenizer.chat_template", .string("{{ messages }}")),
            ("tokenizer.chat_template.tool", .string("x")), ("tokenizer.ggml.precompiled_charsmap", .u8s([1, 2])),
        ]
        let tensors = [
            ("token_embd.weight", try tensor(.q4_0, [4, 32])), ("blk.0.attn_q.weight", try tensor(.f16, [2, 8])),
            ("blk.0.ffn.weight", try tensor(.q4_k, [1, 256])), ("norm", try tensor(.f32, [5])),
        ]
        return [
            try GGUFWriter.bytes(tensors, metadata: metadata),
            try GGUFWriter.bytes([("t", try tensor(.f32, [2, 2, 2, 2]))], metadata: [("general.architecture", .string("x"))]),
            try GGUFWriter.bytes([], metadata: metadata),
        ]
    }

    static let index = [
        #"{"metadata": {"total_size": 123}, "weight_map": "#
            + #"{"a": "model-00001-of-00002.safetensors", "b.c": "model-00002-of-00002.safetensors"}}"#,
        #"{"weight_map":{"x":"model.safetensors"}}"#,
    ]

    static let config = [
        #"{"architectures":["LlamaForCausalLM"],"num_hidden_layers":2,"hidden_size":64,"rms_norm_eps":1e-05,"tie_word_embeddings":true,"#
            + #""rope_scaling":{"type":"linear","factor":2.0},"eos_token_id":[1,2],"quantization_config":null}"#,
        #"{"do_sample":true,"temperature":0.6,"top_k":50,"top_p":0.9,"min_p":0.05,"repetition_penalty":1.1,"max_new_tokens":32,"#
            + #""bos_token_id":1,"eos_token_id":2,"pad_token_id":-1,"max_length":Infinity}"#,
    ]

    static let dictionary = [
        "null", "true", "-1", "1e999", "0.5", "2.0", "18446744073709551616", "9223372036854775807", "4611686018427387904", "[",
        "[[[[[[[[[[[[[[[[[[", "]", "{", "}", ",", ":", "\"", "\\", "\\u0000", "\\ud800", "\"F32\"", "\"I64\"", "\"F4\"", "\"Q9\"", "dtype", "shape", "data_offsets",
        "__metadata__", "weight_map", "../x.safetensors", "[0,0]", "[0]", "[]", "{}", "\u{FFFD}", "NaN", "Infinity", "GGUF",
        "general.alignment", "split.count", "tokenizer.ggml.tokens",
    ]
}
