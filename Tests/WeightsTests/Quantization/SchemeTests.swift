import JSON
import Tensors
import Testing
import Weights

/// What the dialects of `quantization_config` are understood as.
struct SchemeTests {
    private func scheme(_ text: String) throws -> QuantizationScheme {
        try withFolder { folder in
            try write("{\"quantization_config\": \(text)}", to: folder + "/config.json")
            try write(SafetensorsWriter.bytes([("x", try tensor(.f32, [1]))]), to: folder + "/model.safetensors")
            return try Checkpoint.open(folder).quantization()
        }
    }

    @Test func awq() throws {
        let scheme = try scheme(#"{"quant_method": "awq", "bits": 4, "group_size": 64, "version": "GEMM", "zero_point": true, "modules_to_not_convert": ["gate"]}"#)
        #expect(scheme.method == .awq)
        let settings = try #require(scheme.quantization(of: "model.layers.0.q_proj"))
        #expect(settings.layout == .awqGEMM && settings.groupSize == 64 && !settings.isSymmetric)
        #expect(scheme.excludes("model.layers.0.mlp.gate"))
        #expect(!scheme.excludes("model.layers.0.mlp.gate_proj"))
    }

    @Test func gptqOverrides() throws {
        let scheme = try scheme(
            #"{"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": {"-:.*lm_head": {}, "+:model\\.layers\\.(0|1)\\..*": {"bits": 8, "group_size": -1}, ".*v_proj": {"bits": 3}}}"#)
        let eight = try #require(scheme.quantization(of: "model.layers.1.mlp.up_proj"))
        #expect(eight.bits == 8 && eight.groupSize == nil && eight.layout == .gptq(zerosLessOne: true))
        let three = try #require(scheme.quantization(of: "model.layers.2.self_attn.v_proj"))
        #expect(three.bits == 3 && three.groupSize == 128)
        #expect(try #require(scheme.quantization(of: "model.layers.11.mlp.up_proj")).bits == 4)
        #expect(scheme.excludes("lm_head") && !scheme.excludes("model.layers.1.mlp.up_proj"))
    }

    @Test func compressedTensors() throws {
        let scheme = try scheme(
            #"""
            {"quant_method": "compressed-tensors", "format": "mixed-precision", "ignore": ["lm_head", "re:.*\\.gate$"],
             "kv_cache_scheme": {"num_bits": 8, "type": "float"},
             "config_groups": {
              "group_0": {"targets": ["Linear"], "format": "pack-quantized", "weights": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128}},
              "group_1": {"targets": ["re:^(?!.*mlp).*v_proj$", "model.layers.3.mlp.down_proj"], "format": "float-quantized",
               "weights": {"num_bits": 8, "type": "float", "strategy": "channel"}, "input_activations": {"num_bits": 8, "type": "float", "dynamic": true}}}}
            """#)
        #expect(scheme.cacheScheme == "float8")
        #expect(scheme.quantization(of: "model.layers.0.self_attn.v_proj")?.layout == .float8)
        #expect(scheme.quantization(of: "model.layers.3.mlp.down_proj")?.activations == "float8 dynamic")
        #expect(scheme.quantization(of: "model.layers.4.mlp.down_proj")?.layout == .packedIntegers)
        #expect(scheme.quantization(of: "model.mlp.v_proj")?.groupSize == 128)
        #expect(scheme.excludes("lm_head") && scheme.excludes("model.layers.0.mlp.gate"))
        #expect(!scheme.excludes("model.layers.0.mlp.gate_proj"))
    }

    @Test func float8() throws {
        let blocks = try scheme(#"{"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 64], "modules_to_not_convert": ["lm_head"]}"#)
        #expect(blocks.quantization(of: "a")?.block .map { [$0.outputs, $0.inputs] } == [128, 64])
        #expect(blocks.excludes("lm_head"))
        #expect(try scheme(#"{"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0}"#).quantization(of: "a")?.layout == .float8)
        let modelopt = try scheme(
            #"{"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "exclude_modules": ["*router*"], "quantized_layers": {"a": {"quant_algo": "FP8"}, "b": {"quant_algo": "NVFP4", "group_size": 16}}}"#)
        #expect(modelopt.quantization(of: "a")?.layout == .float8)
        #expect(modelopt.quantization(of: "b")?.layout == .nvfp4)
        #expect(modelopt.quantization(of: "c") == nil)
        #expect(modelopt.excludes("model.router.gate"))
    }

    /// Quantisers' own files, where the model's says nothing.
    @Test(arguments: [
        ("quantize_config.json", #"{"bits": 3, "group_size": 32, "desc_act": true, "sym": false}"#, QuantizationScheme.Method.gptq),
        ("quant_config.json", #"{"zero_point": true, "q_group_size": 32, "w_bit": 4, "version": "GEMM"}"#, .awq),
        ("hf_quant_config.json", #"{"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}}"#, .modelopt),
    ])
    func sideFiles(_ file: String, _ text: String, _ method: QuantizationScheme.Method) throws {
        try withFolder { folder in
            try write("{}", to: folder + "/config.json")
            try write(text, to: folder + "/" + file)
            try write(SafetensorsWriter.bytes([("x", try tensor(.f32, [1]))]), to: folder + "/model.safetensors")
            let scheme = try Checkpoint.open(folder).quantization()
            #expect(scheme.method == method)
            let settings = try #require(scheme.quantization(of: "a"))
            #expect(settings.groupSize == (method == .modelopt ? nil : 32))
            #expect(settings.bits == (method == .gptq ? 3 : method == .awq ? 4 : 8))
            #expect(scheme.cacheScheme == (method == .modelopt ? "fp8" : nil))
        }
    }

    @Test(arguments: [
        (#"{"quant_method": "gptq", "bits": 5, "group_size": 128}"#, "GPTQ weights have 2, 3, 4 or 8"),
        (#"{"quant_method": "gptq", "bits": 4, "group_size": 0}"#, "a group has at least one input"),
        (#"{"quant_method": "gptq", "bits": 4, "group_size": -2}"#, "from -1"),
        (#"{"quant_method": "gptq", "group_size": 128}"#, "is missing"),
        (#"{"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"}"#, "only 'gptq' and 'gptq_v2'"),
        (#"{"quant_method": "gptq", "bits": 4, "dynamic": {"+:(": {"bits": 8}}}"#, "not valid"),
        (#"{"quant_method": "awq", "bits": 8}"#, "AWQ weights have 4 bits"),
        (#"{"quant_method": "awq", "bits": 4, "version": "gemv_fast"}"#, "'gemm' and 'gemv'"),
        (#"{"quant_method": "fp8", "weight_block_size": [128]}"#, "two positive sizes"),
        (#"{"quant_method": "fp8", "weight_block_size": [128, 0]}"#, "two positive sizes"),
        (#"{"quant_method": "fp8", "fmt": "e5m2"}"#, "only 'e4m3'"),
        (#"{"quant_method": "aqlm"}"#, "'aqlm', which is not supported"),
        (#"{"bits": 4}"#, ""),
        (#"{"quant_method": "modelopt", "quant_algo": "W4A8_AWQ"}"#, "FP8 and NVFP4"),
        (#"{"quant_method": "compressed-tensors", "format": "marlin-24", "config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 4}}}}"#, "'marlin-24', which is not supported"),
        (#"{"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"g": {"targets": ["re:["], "weights": {"num_bits": 4}}}}"#, "not valid"),
        (#"{"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 4, "strategy": "group", "group_size": 0}}}}"#, "a group has at least one input"),
        (#"{"quant_method": "compressed-tensors", "format": "pack-quantized"}"#, "is missing"),
    ])
    func refuses(_ text: String, _ reason: String) throws {
        guard !reason.isEmpty else {
            // Without a word about who wrote it, it is nobody's.
            #expect(try scheme(text).method == .none)
            return
        }
        let found = message { _ = try scheme(text) }
        #expect(found.contains(reason), "\(found)")
    }
}
