import Tensors

extension Checkpoint {
    /// What the files beside the weights say about quantisation: `quantization_config` (older: `compression_config`) of `config.json`, else one
    /// of the side files of the quantisers. `.none` where nothing is said, and for GGUF, whose tensors describe themselves.
    package func quantization() throws(LoadError) -> QuantizationScheme {
        guard format == .safetensors else { return .none(file: path) }
        if let config = try json("config.json") {
            for outer in [config, try config.object(optional: "text_config")] {
                guard let outer, let inner = try outer.object(optional: "quantization_config", "compression_config") else { continue }
                // Model Optimizer may say in its own file what the config leaves out.
                if inner.has("quant_algo") || inner.has("quant_method") || inner.has("config_groups") || inner.has("load_in_4bit") {
                    return try QuantizationScheme(inner, method: inner.has("quant_algo") ? "modelopt" : nil)
                }
            }
        }
        if let side = try json("hf_quant_config.json") { return try QuantizationScheme(side, method: "modelopt") }
        if let side = try json("quantize_config.json") { return try QuantizationScheme(side, method: "gptq") }
        if let side = try json("quant_config.json") { return try QuantizationScheme(side, method: "awq") }
        return .none(file: path)
    }

    /// Throws where configuration and tensors tell different stories about the whole checkpoint.
    func requireQuantized(_ scheme: QuantizationScheme) throws(LoadError) {
        let isQuantized = names.contains { name in
            QuantizedLayout.markers.contains { name.utf8.hasSuffix($0) } || record(name).map { $0.type == .known(.f8_e4m3) } ?? false
        }
        if scheme.storesWeights, !isQuantized {
            throw .config(
                file: scheme.file, key: "quantization_config",
                reason: "says that weights are quantised (\(scheme.method.rawValue)), but the checkpoint has no quantised tensors; "
                    + "take the key out to use it as it is")
        }
    }
}
