/// What a checkpoint's configuration says about the weights of its linear layers, whichever of the field's dialects it is written in.
///
/// The tensors decide which modules are quantised; the scheme says how their codes are to be read.
package struct QuantizationScheme: Sendable {
    package enum Method: String, Sendable {
        case none, awq, gptq, compressedTensors = "compressed-tensors", fp8, bitsandbytes, mxfp4, modelopt
    }

    package let method: Method
    /// The file it was read from, for messages.
    package let file: String
    /// How a module is stored that no rule names; nil where only rules tell.
    let standard: ModuleQuantization?
    /// Exceptions and groups, first match wins.
    let rules: [Rule]
    /// Modules that were left as they were.
    let excluded: [ModulePattern]
    /// The format's own name for scaled keys and values, where the checkpoint carries scales for them.
    package let cacheScheme: String?

    struct Rule: Sendable {
        let patterns: [ModulePattern]
        /// nil: not quantised.
        let quantization: ModuleQuantization?
    }

    init(
        _ method: Method, file: String, standard: ModuleQuantization?, rules: [Rule] = [], excluded: [ModulePattern] = [], cacheScheme: String? = nil
    ) {
        self.method = method
        self.file = file
        self.standard = standard
        self.rules = rules
        self.excluded = excluded
        self.cacheScheme = cacheScheme
    }

    /// A checkpoint without a word about quantisation.
    package static func none(file: String) -> QuantizationScheme { QuantizationScheme(.none, file: file, standard: nil) }

    /// Whether weights are quantised; else there may still be a scheme for keys and values.
    package var storesWeights: Bool { standard != nil || rules.contains { $0.quantization != nil } }

    /// Whether the configuration names this module as one left in floating point.
    package func excludes(_ module: String) -> Bool {
        if excluded.contains(where: { $0.matches(module) }) { return true }
        guard let rule = rules.first(where: { rule in rule.patterns.contains { $0.matches(module) } }) else { return false }
        return rule.quantization == nil
    }

    /// How the tensors of a quantised module are to be read. Lists of exclusions play no part: their matching differs between writers, and
    /// the tensors show whether a module is quantised.
    package func quantization(of module: String) -> ModuleQuantization? {
        for rule in rules {
            guard let quantization = rule.quantization, rule.patterns.contains(where: { $0.matches(module) }) else { continue }
            return quantization
        }
        if let standard { return standard }
        // Targets that name classes cannot be matched with tensors; with one group there is nothing to choose.
        let groups = rules.compactMap(\.quantization)
        return groups.count == 1 ? groups[0] : nil
    }
}

/// How a module's weight is stored.
package struct ModuleQuantization: Sendable, Equatable {
    package enum Layout: Sendable, Equatable {
        /// `qweight` `[inputs, outputs / 8]`, outputs interleaved in a word.
        case awqGEMM
        /// `qweight` `[outputs, inputs / 8]`.
        case awqGEMV
        /// `qweight` `[inputs · bits / 32, outputs]`. The first version stores zeros less one.
        case gptq(zerosLessOne: Bool)
        /// `weight_packed` `[outputs, inputs · bits / 32]`.
        case packedIntegers
        /// `weight` of 8-bit integers.
        case int8
        /// `weight` of FP8 E4M3.
        case float8
        /// FP4 in groups of 16 with E4M3 scales and a scale of the whole.
        case nvfp4
        /// FP4 in groups of 32 with scales that are powers of two.
        case mxfp4
        /// NF4, FP4 or 8-bit integers, described by the tensors themselves.
        case bitsandbytes
    }

    package var layout: Layout
    package var bits: Int
    /// Inputs that share a scale; nil for all of a row (or a tensor's one scale).
    package var groupSize: Int?
    /// Outputs and inputs that share a scale, for weights scaled in blocks.
    package var block: Block?
    package var isSymmetric = true
    /// Scheme of the activations, for reports: kernels choose their own form. nil for weights only.
    package var activations: String?

    package struct Block: Sendable, Equatable {
        package let outputs: Int
        package let inputs: Int
    }
}

/// The ways in which configurations name modules.
enum ModulePattern: Sendable {
    /// The module's whole name.
    case name(String)
    /// The name, or its last parts, or any run of whole parts: `gate` in `model.layers.0.gate`, not in `gate_proj`.
    case parts(String)
    /// With `*` for any characters.
    case wildcard(NamePattern)
    case regex(NameRegex)
    /// Any linear layer.
    case linear

    func matches(_ module: String) -> Bool {
        switch self {
        case .name(let name): module == name
        case .parts(let parts): ("." + module + ".").contains("." + parts + ".")
        case .wildcard(let pattern): pattern.matches(module)
        case .regex(let regex): regex.matches(module)
        case .linear: true
        }
    }
}
