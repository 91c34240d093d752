import JSON
import Weights

extension HubConversion {
    /// `config.json` with what was done, and the files beside it.
    func writeConfiguration(to folder: String) throws {
        guard var object = config.json, let source = checkpoint.folder else { throw QuantiseError("there is no config.json") }
        let quantisation = quantisationConfig
        object["quantization_config"] = quantisation
        if scheme == .awq || scheme == .gptq {
            // Their kernels run in halves.
            let key = object["dtype"] != nil && object["torch_dtype"] == nil ? "dtype" : "torch_dtype"
            object[key] = "float16"
        }
        try FolderFiles.copySmallFiles(from: source, to: folder)
        try FolderFiles.write(JSONValue.object(object).text, to: "\(folder)/config.json")
        if scheme == .gptq { try FolderFiles.write(quantisation.text, to: "\(folder)/quantize_config.json") }
    }

    private var quantisationConfig: JSONValue {
        // Layers outside the blocks that stay as they are.
        let kept = ["lm_head"] + keptModules
        let names = JSONValue.array(kept.map { .string($0) })
        switch scheme {
        case .awq:
            return [
                "quant_method": "awq", "bits": 4, "group_size": .int(groupSize), "version": "gemm", "zero_point": true,
                "modules_to_not_convert": keptModules.isEmpty ? .null : .array(keptModules.map { .string($0) }),
            ]
        case .gptq:
            var members: JSONObject = .init([
                ("quant_method", "gptq"), ("bits", 4), ("group_size", .int(groupSize)), ("sym", true), ("desc_act", false),
                ("checkpoint_format", "gptq"), ("static_groups", false), ("true_sequential", true),
            ])
            if !keptModules.isEmpty { members["dynamic"] = .object(JSONObject(keptModules.map { ("-:^\($0.replacing(".", with: "\\."))$", .object(JSONObject())) })) }
            return .object(members)
        case .w4a16:
            return compressed("pack-quantized", JSONObject([("num_bits", 4), ("type", "int"), ("strategy", "group"), ("group_size", .int(groupSize))]), activations: .null, names)
        case .int8:
            return compressed("int-quantized", JSONObject([("num_bits", 8), ("type", "int"), ("strategy", "channel"), ("group_size", .null)]), activations: token("int"), names)
        case .fp8:
            return compressed("float-quantized", JSONObject([("num_bits", 8), ("type", "float"), ("strategy", "channel"), ("group_size", .null)]), activations: token("float"), names)
        case .fp8Block:
            return [
                "quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128], "modules_to_not_convert": names,
            ]
        }
    }

    /// Activations rounded for each token when the model runs.
    private func token(_ type: String) -> JSONValue {
        [
            "num_bits": 8, "type": .string(type), "strategy": "token", "symmetric": true, "dynamic": true, "group_size": .null, "actorder": .null,
            "block_structure": .null, "observer": .null, "observer_kwargs": .object(JSONObject()),
        ]
    }

    private func compressed(_ format: String, _ weights: JSONObject, activations: JSONValue, _ ignored: JSONValue) -> JSONValue {
        var weights = weights
        for (key, value) in [
            ("symmetric", true), ("dynamic", false), ("actorder", .null), ("block_structure", .null), ("observer", "minmax"),
            ("observer_kwargs", .object(JSONObject())),
        ] as [(String, JSONValue)] { weights[key] = value }
        return [
            "quant_method": "compressed-tensors", "format": .string(format), "quantization_status": "compressed", "ignore": ignored,
            "config_groups": [
                "group_0": ["targets": ["Linear"], "weights": .object(weights), "input_activations": activations, "output_activations": .null],
            ],
            "global_compression_ratio": .null, "kv_cache_scheme": .null,
        ]
    }
}
