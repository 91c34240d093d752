import Compute
import Tensors
import Weights

extension HubConversion {
    func isQuantised(_ name: String) -> Bool { checkpoint.record(name).map { LinearWeights.contains(name, $0) } ?? false && !keptModules.contains(String(name.dropLast(7))) }

    /// A linear layer's tensors in the scheme's layout, by the end of their name.
    func pieces(of rows: FloatRows, on backend: CPUBackend) throws -> [(String, TensorView)] {
        switch scheme {
        case .int8, .fp8: return try ByteMatrix.perRow(rows, isFloat: scheme == .fp8, scaleType: scaleType, on: backend)
        case .fp8Block: return try ByteMatrix.inBlocks(rows, on: backend)
        case .awq, .gptq, .w4a16:
            let round: @Sendable (Float) -> (bits: UInt16, value: Float)
            if scaleType == .f16 { round = { FloatCodes.half($0) } } else { round = { FloatCodes.bfloat16($0) } }
            let matrix = FourBitMatrix(
                rounding: rows, groupSize: groupSize, isSymmetric: scheme != .awq, scaleType: round, on: backend)
            switch scheme {
            case .awq: return try matrix.awq()
            case .gptq: return try matrix.gptq()
            default: return try matrix.packed(scaleType)
            }
        }
    }
}
