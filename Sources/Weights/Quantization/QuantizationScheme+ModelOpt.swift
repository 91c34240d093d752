import JSON

/// The dialect of NVIDIA's Model Optimizer: an algorithm by name, in `config.json` or in `hf_quant_config.json`.
extension QuantizationScheme {
    static func modelopt(_ outer: ConfigReader) throws(LoadError) -> QuantizationScheme {
        let config = try outer.object(optional: "quantization") ?? outer
        var rules: [Rule] = [], standard: ModuleQuantization?
        let cache = try config.string(optional: "kv_cache_quant_algo")?.lowercased()
        // Keys and values may be all that is quantised.
        if cache != nil, !config.has("quant_algo") { return QuantizationScheme(.modelopt, file: config.file, standard: nil, cacheScheme: cache) }
        let algorithm = try config.string("quant_algo").uppercased()
        if algorithm == "MIXED_PRECISION" {
            for (module, settings) in try config.object("quantized_layers").objects {
                rules.append(Rule(patterns: [.name(module)], quantization: try modeloptModule(settings)))
            }
        } else {
            standard = try modeloptModule(config)
        }
        return QuantizationScheme(
            .modelopt, file: config.file, standard: standard, rules: rules, excluded: try excluded(config), cacheScheme: cache)
    }

    private static func modeloptModule(_ config: ConfigReader) throws(LoadError) -> ModuleQuantization {
        let algorithm = try config.string("quant_algo").uppercased()
        switch algorithm {
        case "FP8": return ModuleQuantization(layout: .float8, bits: 8, activations: "fp8 static")
        case "FP8_PER_CHANNEL_PER_TOKEN": return ModuleQuantization(layout: .float8, bits: 8, activations: "fp8 dynamic")
        case "FP8_PB_WO":
            return ModuleQuantization(layout: .float8, bits: 8, block: ModuleQuantization.Block(outputs: 128, inputs: 128))
        case "NVFP4", "NVFP4_AWQ", "W4A16_NVFP4":
            let size = try groupSize(config, "group_size", default: 16)
            guard size == 16 else { throw config.error("group_size", "must be 16 for NVFP4") }
            return ModuleQuantization(layout: .nvfp4, bits: 4, groupSize: 16, activations: "fp4 static")
        default: throw config.error("quant_algo", "is '\(algorithm)'; FP8 and NVFP4 are supported")
        }
    }
}
