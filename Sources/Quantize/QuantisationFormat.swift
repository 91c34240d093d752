import Tensors

/// What `needletail quantize --to` makes.
package enum QuantisationFormat: Sendable, Equatable {
    /// A GGUF file; the type is that of most matrices (`GGUFMix`).
    case gguf(GGUFMix)
    /// A folder in the hub's layout.
    case hub(HubScheme)

    package static let names = GGUFMix.all.map(\.name) + HubScheme.allCases.map(\.rawValue)

    package static func named(_ name: String) throws(QuantiseError) -> QuantisationFormat {
        let wanted = name.lowercased().replacing("-", with: "_")
        if let scheme = HubScheme.allCases.first(where: { $0.rawValue.replacing("-", with: "_") == wanted }) { return .hub(scheme) }
        let aliases = ["q4_k_m": "q4_k", "q5_k_m": "q5_k", "q3_k_m": "q3_k"]
        if let mix = GGUFMix.all.first(where: { $0.name == aliases[wanted] ?? wanted }) { return .gguf(mix) }
        throw QuantiseError("there is no format '\(name)'; known are \(names.joined(separator: ", "))")
    }
}

/// Quantised layouts of hub checkpoints.
package enum HubScheme: String, Sendable, CaseIterable {
    /// AutoAWQ's GEMM layout: 4 bits with zero points, packed along the outputs.
    case awq
    /// AutoGPTQ's layout, version 1: 4 bits, symmetric, packed along the inputs.
    case gptq
    /// compressed-tensors `pack-quantized`: 4 bits, symmetric, packed along the inputs.
    case w4a16
    /// compressed-tensors `int-quantized`: 8 bits a row, activations rounded to 8 bits a token.
    case int8
    /// compressed-tensors `float-quantized`: FP8 E4M3 a row, activations rounded to FP8 a token.
    case fp8
    /// DeepSeek's layout: FP8 E4M3 in blocks of 128 × 128 with `weight_scale_inv`.
    case fp8Block = "fp8-block"

    package var isGrouped: Bool { [.awq, .gptq, .w4a16].contains(self) }
}

/// Why a model cannot be quantised as asked.
package struct QuantiseError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
