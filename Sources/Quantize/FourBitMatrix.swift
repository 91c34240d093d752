import Compute
import Tensors

/// A matrix as 4-bit codes in groups along the inputs, before it is packed.
struct FourBitMatrix {
    let outputs: Int
    let inputs: Int
    let groupSize: Int
    /// `[outputs, inputs]`, 0…15.
    var codes: [UInt8]
    /// `[outputs, groups]`: bits of the scale in the file's type.
    var scales: [UInt16]
    /// `[outputs, groups]`.
    var zeros: [UInt8]

    var groups: Int { inputs / groupSize }

    /// Each weight to its nearest code under its group's best scale.
    init(
        rounding rows: FloatRows, groupSize: Int, isSymmetric: Bool, scaleType: @escaping @Sendable (Float) -> (bits: UInt16, value: Float),
        on backend: CPUBackend
    ) {
        outputs = rows.rows
        inputs = rows.columns
        self.groupSize = groupSize
        let outputs = outputs, inputs = inputs, groups = rows.columns / groupSize
        codes = Array(repeating: 0, count: outputs * inputs)
        scales = Array(repeating: 0, count: outputs * groups)
        zeros = Array(repeating: 0, count: outputs * groups)
        codes.withUnsafeMutableBufferPointer { codes in
            scales.withUnsafeMutableBufferPointer { scales in
                zeros.withUnsafeMutableBufferPointer { zeros in
                    backend.parallelFor(outputs) { row in
                        withUnsafeTemporaryAllocation(of: Float.self, capacity: inputs) { floats in
                            guard let base = floats.baseAddress else { return }
                            rows.read(row, into: base)
                            for group in 0..<groups {
                                let part = UnsafeBufferPointer(rebasing: floats[group * groupSize..<(group + 1) * groupSize])
                                let fit = GroupRounding.fit(part, isSymmetric: isSymmetric, scaleType: scaleType)
                                scales[row * groups + group] = fit.scaleBits
                                zeros[row * groups + group] = UInt8(fit.zero)
                                for index in 0..<groupSize { codes[row * inputs + group * groupSize + index] = fit.code(part[index]) }
                            }
                        }
                    }
                }
            }
        }
    }

    // MARK: Packing

    /// AutoAWQ's GEMM layout: `qweight` `[inputs, outputs / 8]`, `qzeros` `[groups, outputs / 8]`, `scales` f16 `[groups, outputs]`; the nibbles
    /// of a word, lowest first, are outputs 0, 2, 4, 6, 1, 3, 5, 7.
    func awq() throws -> [(String, TensorView)] {
        let order = [0, 2, 4, 6, 1, 3, 5, 7]
        return [
            ("qweight", try words([inputs, outputs / 8]) { input, word in word8 { codes[(8 * word + order[$0]) * inputs + input] } }),
            ("qzeros", try words([groups, outputs / 8]) { group, word in word8 { zeros[(8 * word + order[$0]) * groups + group] } }),
            ("scales", try transposedScales(.f16)),
        ]
    }

    /// AutoGPTQ's layout, version 1: `qweight` `[inputs / 8, outputs]`, `qzeros` `[groups, outputs / 8]` less one, `scales` f16
    /// `[groups, outputs]`, `g_idx` `[inputs]`.
    func gptq() throws -> [(String, TensorView)] {
        [
            ("qweight", try words([inputs / 8, outputs]) { word, output in word8 { codes[output * inputs + 8 * word + $0] } }),
            ("qzeros", try words([groups, outputs / 8]) { group, word in word8 { (zeros[(8 * word + $0) * groups + group] &- 1) & 15 } }),
            ("g_idx", try words([inputs]) { input, _ in UInt32(input / groupSize) }),
            ("scales", try transposedScales(.f16)),
        ]
    }

    /// compressed-tensors `pack-quantized`: `weight_packed` `[outputs, inputs / 8]`, `weight_scale` `[outputs, groups]`; `weight_shape` is made apart.
    func packed(_ scaleType: DType) throws -> [(String, TensorView)] {
        [
            ("weight_packed", try words([outputs, inputs / 8]) { output, word in word8 { codes[output * inputs + 8 * word + $0] } }),
            ("weight_scale", try TensorView.make(scaleType, [outputs, groups]) { target in
                for (index, bits) in scales.enumerated() { target.storeBytes(of: bits.littleEndian, toByteOffset: 2 * index, as: UInt16.self) }
            }),
        ]
    }

    /// compressed-tensors' `weight_shape`, `[2]`: known without the weights.
    static func shapeTensor(_ shape: Shape) throws -> TensorView {
        try TensorView.make(.i64, [2]) { target in
            target.storeBytes(of: Int64(shape[0]).littleEndian, as: Int64.self)
            target.storeBytes(of: Int64(shape[1]).littleEndian, toByteOffset: 8, as: Int64.self)
        }
    }

    private func word8(_ nibble: (Int) -> UInt8) -> UInt32 {
        var word: UInt32 = 0
        for place in 0..<8 { word |= UInt32(nibble(place)) << UInt32(4 * place) }
        return word
    }

    /// An i32 tensor; `word(row, column)`.
    private func words(_ shape: Shape, _ word: (Int, Int) -> UInt32) throws -> TensorView {
        let rows = shape[0], columns = shape.rank > 1 ? shape[1] : 1
        return try TensorView.make(.i32, shape) { target in
            for row in 0..<rows {
                for column in 0..<columns { target.storeBytes(of: word(row, column).littleEndian, toByteOffset: 4 * (row * columns + column), as: UInt32.self) }
            }
        }
    }

    private func transposedScales(_ dtype: DType) throws -> TensorView {
        try TensorView.make(dtype, [groups, outputs]) { target in
            for group in 0..<groups {
                for output in 0..<outputs {
                    target.storeBytes(of: scales[output * groups + group].littleEndian, toByteOffset: 2 * (group * outputs + output), as: UInt16.self)
                }
            }
        }
    }
}
