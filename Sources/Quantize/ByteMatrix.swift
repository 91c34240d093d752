import Compute
import Tensors

/// A matrix as one byte a weight: 8-bit integers or FP8 with a scale for each row, or FP8 with one for each block of 128 × 128.
enum ByteMatrix {
    /// compressed-tensors' `weight` and `weight_scale` `[outputs, 1]` of the model's own type.
    static func perRow(_ rows: FloatRows, isFloat: Bool, scaleType: DType, on backend: CPUBackend) throws -> [(String, TensorView)] {
        let outputs = rows.rows, inputs = rows.columns
        var scaleBits = [UInt16](repeating: 0, count: outputs)
        let weight = try scaleBits.withUnsafeMutableBufferPointer { scaleBits in
            try TensorView.make(isFloat ? .f8_e4m3 : .i8, [outputs, inputs]) { target in
                guard let bytes = target.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
                backend.parallelFor(outputs) { row in
                    withUnsafeTemporaryAllocation(of: Float.self, capacity: inputs) { floats in
                        guard let base = floats.baseAddress else { return }
                        rows.read(row, into: base)
                        let largest = floats.reduce(0) { max($0, $1.magnitude) }
                        let wanted = max(largest / (isFloat ? 448 : 127), 1e-5)
                        let (bits, scale) = scaleType == .f16 ? FloatCodes.half(wanted) : FloatCodes.bfloat16(wanted)
                        scaleBits[row] = bits
                        for column in 0..<inputs {
                            bytes[row * inputs + column] =
                                isFloat
                                ? FloatCodes.e4m3(floats[column] / scale)
                                : UInt8(bitPattern: Int8(max(-128, min(127, (floats[column] / scale).rounded(.toNearestOrEven)))))
                        }
                    }
                }
            }
        }
        let scales = try TensorView.make(scaleType, [outputs, 1]) { target in
            for (row, bits) in scaleBits.enumerated() { target.storeBytes(of: bits.littleEndian, toByteOffset: 2 * row, as: UInt16.self) }
        }
        return [("weight_scale", scales), ("weight", weight)]
    }

    static let blockSize = 128

    /// DeepSeek's `weight` and `weight_scale_inv`, f32 `[⌈outputs / 128⌉, ⌈inputs / 128⌉]`; the scale is multiplied, whatever its name says.
    static func inBlocks(_ rows: FloatRows, on backend: CPUBackend) throws -> [(String, TensorView)] {
        let outputs = rows.rows, inputs = rows.columns, size = blockSize
        let down = (outputs + size - 1) / size, across = (inputs + size - 1) / size
        var scales = [Float](repeating: 0, count: down * across)
        let weight = try scales.withUnsafeMutableBufferPointer { scales in
            try TensorView.make(.f8_e4m3, [outputs, inputs]) { target in
                guard let bytes = target.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
                backend.parallelFor(down) { band in
                    let first = band * size, last = min(outputs, first + size)
                    withUnsafeTemporaryAllocation(of: Float.self, capacity: (last - first) * inputs) { floats in
                        guard let base = floats.baseAddress else { return }
                        for row in first..<last { rows.read(row, into: base + (row - first) * inputs) }
                        for block in 0..<across {
                            let columns = block * size..<min(inputs, (block + 1) * size)
                            var largest: Float = 0
                            for row in 0..<last - first { for column in columns { largest = max(largest, floats[row * inputs + column].magnitude) } }
                            let scale = max(largest / 448, 1e-12)
                            scales[band * across + block] = scale
                            for row in 0..<last - first {
                                for column in columns { bytes[(first + row) * inputs + column] = FloatCodes.e4m3(floats[row * inputs + column] / scale) }
                            }
                        }
                    }
                }
            }
        }
        let stored = try TensorView.make(.f32, [down, across]) { target in
            for (index, scale) in scales.enumerated() { target.storeBytes(of: scale.bitPattern.littleEndian, toByteOffset: 4 * index, as: UInt32.self) }
        }
        return [("weight_scale_inv", stored), ("weight", weight)]
    }
}
