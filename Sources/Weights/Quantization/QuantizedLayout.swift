import Tensors

/// How a module is stored, as far as its tensors show.
enum QuantizedLayout {
    case plain
    /// `qweight`: AWQ or GPTQ.
    case packedColumns
    /// `weight_packed`, or bytes in `weight` with two scales: compressed-tensors, Model Optimizer.
    case packedRows
    case float8
    case int8
    /// 8-bit integers with `SCB`.
    case bitsandbytes8
    /// The name of the tensor that describes the blocks.
    case bitsandbytes4(state: String)

    /// Ends of names that only quantised checkpoints have.
    static let markers = [".qweight", ".weight_packed", ".weight_scale", ".weight_scale_inv", ".SCB", ".absmax", "_blocks"]

    init(_ module: WeightScope) {
        if module.contains("qweight") {
            self = .packedColumns
        } else if module.contains("weight_packed") {
            self = .packedRows
        } else if module.contains("SCB") {
            self = .bitsandbytes8
        } else if let state = ["nf4", "fp4"].map({ "weight.quant_state.bitsandbytes__" + $0 }).first(where: module.contains) {
            self = .bitsandbytes4(state: state)
        } else {
            switch module.record("weight")?.type {
            case .known(.u8)?: self = .packedRows
            case .known(.i8)?: self = .int8
            case .known(.f8_e4m3)?: self = .float8
            default: self = .plain
            }
        }
    }

    var name: String {
        switch self {
        case .plain: "plain"
        case .packedColumns: "AWQ or GPTQ"
        case .packedRows: "packed"
        case .float8: "FP8"
        case .int8: "8-bit integer"
        case .bitsandbytes8, .bitsandbytes4: "bitsandbytes"
        }
    }
}
