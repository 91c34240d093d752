import Tensors
import Weights

/// How a checkpoint's records hold weights: which of them are codes of how many bits, which are scales.
struct QuantisedStorage {
    private let bits: Int
    private let method: String?
    let arithmetic: Arithmetic

    init(_ checkpoint: Checkpoint) throws(LoadError) {
        guard checkpoint.gguf == nil, let config = try checkpoint.json("config.json"),
            let quantisation = try config.object(optional: "quantization_config", "compression_config")
        else {
            (bits, method, arithmetic) = (4, nil, .half)
            return
        }
        let weights = try quantisation.object(optional: "config_groups")?.objects.first?.reader
        var found = try quantisation.int(optional: "bits", "w_bit")
        if found == nil { found = try weights?.object(optional: "weights")?.int(optional: "num_bits") }
        bits = min(max(found ?? 4, 1), 8)
        method = try quantisation.string(optional: "quant_method")
        let activations = try weights?.object(optional: "input_activations")
        switch try activations?.string(optional: "type") {
        case "int": arithmetic = .int8
        case "float": arithmetic = .float8
        default: arithmetic = method == "fp8" ? .float8 : .half
        }
    }

    /// Tensors that hold codes packed in wider integers, by the end of their name.
    private static let packed = [".qweight", ".weight_packed"]
    private static let scales = [
        ".scales", ".qzeros", ".weight_scale", ".weight_scale_inv", ".weight_zero_point", ".g_idx", ".weight_g_idx", ".weight_shape", ".input_scale",
        "_scales", ".absmax", ".SCB",
    ]

    private func isPacked(_ name: String) -> Bool { Self.packed.contains { name.hasSuffix($0) } }

    private func isScale(_ name: String) -> Bool { Self.scales.contains { name.hasSuffix($0) } || name.contains(".weight.") }

    /// Weights that the record stands for; scales and zero points are none.
    func parameters(_ name: String, _ record: TensorRecord) -> Int {
        let elements = record.shape.elementCount ?? 0
        if isPacked(name) { return elements > Int.max / 32 ? elements : elements * 32 / bits }
        if isScale(name) { return 0 }
        // Two 4-bit codes a byte: MXFP4's blocks, and bitsandbytes' columns of bytes.
        let isPair = name.hasSuffix("_blocks") || (record.type.dtype == .u8 && method == "bitsandbytes")
        return isPair ? elements.multipliedReportingOverflow(by: 2).partialValue : elements
    }

    /// Scales are kept in float32, whatever they are stored in.
    func bytesInMemory(_ name: String, _ record: TensorRecord) -> Int {
        guard isScale(name), record.type.dtype == .f16 || record.type.dtype == .bf16 else { return record.byteCount }
        return record.byteCount.multipliedReportingOverflow(by: 2).partialValue
    }

    /// Whether every token is multiplied with it: matrices with their scales, but no norms and biases.
    func isMatrix(_ name: String, _ record: TensorRecord) -> Bool {
        if isPacked(name) || isScale(name) { return true }
        return record.shape.rank >= 2 && !name.hasSuffix("bias") && !name.contains("norm")
    }

    /// "bf16", "4-bit codes".
    func typeName(_ name: String, _ record: TensorRecord) -> String {
        if isPacked(name) { return "\(bits)-bit codes" }
        if isScale(name) { return "scales" }
        return record.type.dtype.map(\.description) ?? "unknown"
    }
}
