import JSON

/// The dialect of compressed-tensors: groups of modules with one scheme each.
extension QuantizationScheme {
    static func compressedTensors(_ config: ConfigReader) throws(LoadError) -> QuantizationScheme {
        let common = try config.string("format", default: "dense")
        var rules: [(rank: Int, rule: Rule)] = []
        for (_, group) in try config.object("config_groups").objects {
            guard let weights = try group.object(optional: "weights") else { continue }
            let format = try group.string(optional: "format") ?? common
            let quantization = try module(format, weights, group)
            var patterns: [ModulePattern] = [], rank = 1
            for target in try group.strings("targets") {
                if target.utf8.hasPrefix("re:") {
                    patterns.append(.regex(try regex(String(target.dropFirst(3)), group, "targets")))
                    rank = 0
                } else if target == "Linear" {
                    patterns.append(.linear)
                } else {
                    // Another class of module, or the name of one.
                    patterns.append(.name(target))
                    rank = target.contains(".") ? 0 : rank
                }
            }
            rules.append((rank, Rule(patterns: patterns, quantization: quantization)))
        }
        // Names go before classes.
        let ordered = rules.filter { $0.rank == 0 } + rules.filter { $0.rank == 1 }
        var excluded: [ModulePattern] = []
        for name in try config.strings(optional: "ignore") ?? [] {
            excluded.append(name.utf8.hasPrefix("re:") ? .regex(try regex(String(name.dropFirst(3)), config, "ignore")) : .name(name))
        }
        var cache: String?
        if let scheme = try config.object(optional: "kv_cache_scheme") {
            cache = "\(try scheme.string("type", default: "float"))\(try scheme.int("num_bits", default: 8))"
        }
        return QuantizationScheme(
            .compressedTensors, file: config.file, standard: nil, rules: ordered.map(\.rule), excluded: excluded, cacheScheme: cache)
    }

    private static func module(_ format: String, _ weights: ConfigReader, _ group: ConfigReader) throws(LoadError) -> ModuleQuantization {
        let bits = try weights.int("num_bits", default: 8), type = try weights.string("type", default: "int")
        let strategy = try weights.string(optional: "strategy")
        var size: Int?, block: ModuleQuantization.Block?
        switch strategy {
        case "tensor", "channel": break
        case "group", "tensor_group":
            size = try groupSize(weights, "group_size", default: -1)
            if size == nil { throw weights.error("group_size", "must be a positive size for the strategy '\(strategy ?? "")'") }
        case "block":
            block = try self.block(weights, "block_structure")
            if block == nil { throw weights.error("block_structure", "is missing, but the strategy is 'block'") }
        case nil: size = try groupSize(weights, "group_size", default: -1)
        case let other?: throw weights.error("strategy", "is '\(other)', which is not supported")
        }
        let layout: ModuleQuantization.Layout
        switch (format, type, bits) {
        case ("pack-quantized", "int", 2...4), ("pack-quantized", "int", 8): layout = .packedIntegers
        case ("int-quantized", "int", 1...8), ("naive-quantized", "int", 1...8): layout = .int8
        case ("float-quantized", "float", 8), ("naive-quantized", "float", 8), ("mxfp8-quantized", "float", 8): layout = .float8
        case ("nvfp4-pack-quantized", "float", 4): layout = .nvfp4
        case ("mxfp4-pack-quantized", "float", 4): layout = .mxfp4
        default:
            throw .unsupported(
                file: group.file, reason: "'\(group.path)' stores \(type)\(bits) weights in the format '\(format)', which is not supported")
        }
        var activations: String?
        if let inputs = try group.object(optional: "input_activations") {
            let isDynamic = inputs.value("dynamic").map { $0.bool ?? true } ?? false
            activations = "\(try inputs.string("type", default: "int"))\(try inputs.int("num_bits", default: 8)) \(isDynamic ? "dynamic" : "static")"
        }
        return ModuleQuantization(
            layout: layout, bits: bits, groupSize: size, block: block, isSymmetric: try weights.bool("symmetric", default: true),
            activations: activations)
    }
}
