import JSON

extension QuantizationScheme {
    /// Reads `quantization_config`, whoever wrote it.
    /// - method: for side files that do not say.
    init(_ config: ConfigReader, method: String? = nil) throws(LoadError) {
        let named = try config.string(optional: "quant_method") ?? method
        switch named?.lowercased() {
        case "awq": self = try Self.awq(config)
        case "gptq": self = try Self.gptq(config)
        case "auto-round", "intel/auto-round": self = try Self.autoRound(config)
        case "compressed-tensors", "sparseml": self = try Self.compressedTensors(config)
        case "fp8", "fbgemm_fp8": self = try Self.fp8(config)
        case "bitsandbytes":
            let bits = try config.bool("load_in_8bit", "_load_in_8bit", default: false) ? 8 : 4
            self = QuantizationScheme(
                .bitsandbytes, file: config.file, standard: ModuleQuantization(layout: .bitsandbytes, bits: bits),
                excluded: try Self.excluded(config))
        case "mxfp4":
            self = QuantizationScheme(
                .mxfp4, file: config.file, standard: ModuleQuantization(layout: .mxfp4, bits: 4, groupSize: 32), excluded: try Self.excluded(config))
        case "modelopt", "modelopt_fp4": self = try Self.modelopt(config)
        case nil where config.has("config_groups"): self = try Self.compressedTensors(config)
        case nil where config.has("load_in_4bit") || config.has("load_in_8bit"):
            self = QuantizationScheme(.bitsandbytes, file: config.file, standard: ModuleQuantization(layout: .bitsandbytes, bits: 4))
        case nil: throw config.error("quant_method", "is missing")
        case let other?:
            throw .unsupported(
                file: config.file,
                reason: "weights are quantised with '\(other)', which is not supported (supported: awq, gptq, auto-round, compressed-tensors, fp8, "
                    + "fbgemm_fp8, modelopt, bitsandbytes, mxfp4)")
        }
    }

    // MARK: AWQ and GPTQ

    private static func awq(_ config: ConfigReader) throws(LoadError) -> QuantizationScheme {
        let bits = try config.int("bits", "w_bit", default: 4)
        guard bits == 4 else { throw config.error("bits", "is \(bits); AWQ weights have 4 bits") }
        let version = try config.string("version", default: "gemm").lowercased()
        let layout: ModuleQuantization.Layout
        switch version {
        case "gemm", "exllama", "ipex": layout = .awqGEMM
        case "gemv": layout = .awqGEMV
        default: throw config.error("version", "is '\(version)'; of AWQ's layouts 'gemm' and 'gemv' are supported")
        }
        let isAsymmetric = try config.bool("zero_point", default: true)
        guard isAsymmetric else { throw config.error("zero_point", "is false; AWQ weights without zero points are not supported") }
        let size = try groupSize(config, "group_size", "q_group_size", default: 128)
        let standard = ModuleQuantization(layout: layout, bits: 4, groupSize: size, isSymmetric: false)
        return QuantizationScheme(.awq, file: config.file, standard: standard, excluded: try excluded(config))
    }

    private static func gptq(_ config: ConfigReader) throws(LoadError) -> QuantizationScheme {
        let version = try config.string("checkpoint_format", default: "gptq").lowercased()
        guard version == "gptq" || version == "gptq_v2" else {
            throw config.error("checkpoint_format", "is '\(version)'; only 'gptq' and 'gptq_v2' are supported")
        }
        let standard = ModuleQuantization(
            layout: .gptq(zerosLessOne: version == "gptq"), bits: try gptqBits(config, default: nil),
            groupSize: try groupSize(config, "group_size", default: -1), isSymmetric: try config.bool("sym", default: true))
        var rules: [Rule] = []
        // Regular expressions with a sign in front: "-:" leaves a module alone, "+:" (or no sign) changes settings for it.
        if let dynamic = try config.object(optional: "dynamic"), let members = dynamic.json?.members {
            let settings = Dictionary(dynamic.objects.map { ($0.key, $0.reader) }, uniquingKeysWith: { first, _ in first })
            for key in members.map(\.key) {
                let isExclusion = key.utf8.hasPrefix("-:")
                let source = isExclusion || key.utf8.hasPrefix("+:") ? String(key.dropFirst(2)) : key
                let pattern = ModulePattern.regex(try regex(source, dynamic, key))
                if isExclusion {
                    rules.append(Rule(patterns: [pattern], quantization: nil))
                } else if let override = settings[key] {
                    var changed = standard
                    changed.bits = try gptqBits(override, default: standard.bits)
                    if override.has("group_size") { changed.groupSize = try groupSize(override, "group_size", default: -1) }
                    changed.isSymmetric = try override.bool("sym", default: standard.isSymmetric)
                    rules.append(Rule(patterns: [pattern], quantization: changed))
                }
            }
        }
        return QuantizationScheme(.gptq, file: config.file, standard: standard, rules: rules, excluded: try excluded(config))
    }

    /// AutoRound packs as AutoGPTQ or AutoAWQ do, and lists modules with settings of their own by name.
    private static func autoRound(_ config: ConfigReader) throws(LoadError) -> QuantizationScheme {
        let packing = try config.string("packing_format", default: "auto_round:auto_gptq")
        guard packing.contains("gptq") || packing.contains("awq") else {
            throw config.error("packing_format", "is '\(packing)', which is not supported")
        }
        let base = packing.contains("awq") ? try awq(config) : try gptq(config)
        guard let standard = base.standard, let extra = try config.object(optional: "extra_config") else { return base }
        var rules: [Rule] = []
        for (name, settings) in extra.objects {
            var changed = standard
            let bits = try settings.int("bits", default: standard.bits)
            if settings.has("group_size") { changed.groupSize = try groupSize(settings, "group_size", default: -1) }
            changed.isSymmetric = try settings.bool("sym", default: standard.isSymmetric)
            if bits < 16 { changed.bits = try gptqBits(settings, default: standard.bits) }
            let pattern: ModulePattern = name.contains(where: { "*[(^$|\\".contains($0) }) ? .regex(try regex(name, extra, name)) : .name(name)
            rules.append(Rule(patterns: [pattern], quantization: bits < 16 ? changed : nil))
        }
        return QuantizationScheme(base.method, file: config.file, standard: standard, rules: rules, excluded: base.excluded)
    }

    private static func gptqBits(_ config: ConfigReader, default value: Int?) throws(LoadError) -> Int {
        let bits = if let value { try config.int("bits", default: value) } else { try config.int("bits") }
        guard [2, 3, 4, 8].contains(bits) else { throw config.error("bits", "is \(bits); GPTQ weights have 2, 3, 4 or 8") }
        return bits
    }

    // MARK: FP8

    private static func fp8(_ config: ConfigReader) throws(LoadError) -> QuantizationScheme {
        if let format = try config.string(optional: "fmt"), format != "e4m3", format != "float8_e4m3fn" {
            throw config.error("fmt", "is '\(format)'; only 'e4m3' is supported")
        }
        let standard = ModuleQuantization(
            layout: .float8, bits: 8, block: try block(config, "weight_block_size"),
            activations: "fp8 \(try config.string("activation_scheme", default: "dynamic"))")
        return QuantizationScheme(.fp8, file: config.file, standard: standard, excluded: try excluded(config))
    }

    // MARK: Parts

    /// A positive group size; nil for -1, one group over all inputs.
    static func groupSize(_ config: ConfigReader, _ keys: String..., default value: Int) throws(LoadError) -> Int? {
        for key in keys {
            guard let size = try config.int(optional: key, in: -1...0x7FFF_FFFF) else { continue }
            guard size != 0 else { throw config.error(key, "is 0; a group has at least one input, and -1 means all of them") }
            return size == -1 ? nil : size
        }
        return value == -1 ? nil : value
    }

    /// `[outputs, inputs]` of a block of weights with one scale.
    static func block(_ config: ConfigReader, _ key: String) throws(LoadError) -> ModuleQuantization.Block? {
        guard let sizes = try config.ints(optional: key) else { return nil }
        guard sizes.count == 2, sizes.allSatisfy({ 1...0x7FFF_FFFF ~= $0 }) else {
            throw config.error(key, "must be two positive sizes, but is \(sizes)")
        }
        return ModuleQuantization.Block(outputs: sizes[0], inputs: sizes[1])
    }

    static func regex(_ source: String, _ config: ConfigReader, _ key: String) throws(LoadError) -> NameRegex {
        do {
            return try NameRegex(source)
        } catch {
            throw config.error(key, "has the pattern '\(source)', which is not valid: \(error.reason)")
        }
    }

    /// Modules left alone, under the keys of the different writers. A `*` stands for any characters; otherwise whole parts of a name count.
    static func excluded(_ config: ConfigReader) throws(LoadError) -> [ModulePattern] {
        var names: [String] = []
        for key in ["modules_to_not_convert", "ignored_layers", "llm_int8_skip_modules", "exclude_modules", "ignore"] {
            names += try config.strings(optional: key) ?? []
        }
        return names.map { $0.contains("*") ? .wildcard(NamePattern($0)) : .parts($0) }
    }
}
