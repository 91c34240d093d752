import CKernels
import Compute
import Tensors
import Weights

/// Rows of floats into a tensor of another type, on all threads.
struct RowQuantiser {
    let backend: CPUBackend

    /// - Parameter shape: of the result; its last axis has the rows' columns.
    func tensor(_ rows: FloatRows, _ dtype: DType, shape: Shape) throws -> TensorView {
        guard let number = dtype.ggmlType else { throw QuantiseError("no kernel writes \(dtype)") }
        let type = nt_type(rawValue: number), columns = rows.columns
        let rowBytes = nt_row_bytes(type, columns)
        guard rowBytes > 0, Self.canWrite(dtype) else { throw QuantiseError("no kernel writes \(dtype)") }
        let chunk = max(1, 65536 / columns)
        return try TensorView.make(dtype, shape) { output in
            guard let target = output.baseAddress else { return }
            backend.parallelFor((rows.rows + chunk - 1) / chunk) { index in
                withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { buffer in
                    guard let floats = buffer.baseAddress else { return }
                    for row in index * chunk..<min(rows.rows, (index + 1) * chunk) {
                        rows.read(row, into: floats)
                        Self.write(type, floats, target + row * rowBytes, columns)
                    }
                }
            }
        }
    }

    static func canWrite(_ dtype: DType) -> Bool { [.f32, .f16, .bf16, .q8_0, .q4_0].contains(dtype) }

    /// One row, `columns` long.
    static func write(_ type: nt_type, _ source: UnsafePointer<Float>, _ target: UnsafeMutableRawPointer, _ columns: Int) {
        switch type {
        case NT_F32: target.copyMemory(from: source, byteCount: columns * 4)
        case NT_F16: nt_f32_to_f16(source, target.assumingMemoryBound(to: UInt16.self), columns)
        case NT_BF16: nt_f32_to_bf16(source, target.assumingMemoryBound(to: UInt16.self), columns)
        default:
            let isEight = type == NT_Q8_0
            for block in 0..<columns / 32 {
                blockOf32(source + 32 * block, target + block * (isEight ? 34 : 18), isEight: isEight)
            }
        }
    }

    /// Q8_0 and Q4_0: a half-precision scale and 32 codes.
    private static func blockOf32(_ x: UnsafePointer<Float>, _ target: UnsafeMutableRawPointer, isEight: Bool) {
        var largest: Float = 0
        for index in 0..<32 where x[index].magnitude > largest.magnitude { largest = x[index] }
        var scale = isEight ? largest.magnitude / 127 : largest / -8, half: UInt16 = 0
        nt_f32_to_f16(&scale, &half, 1)
        target.storeBytes(of: half.littleEndian, as: UInt16.self)
        let inverse = scale == 0 ? 0 : 1 / scale
        let codes = (target + 2).assumingMemoryBound(to: UInt8.self)
        if isEight {
            for index in 0..<32 { codes[index] = UInt8(bitPattern: Int8(max(-127, min(127, (x[index] * inverse).rounded())))) }
        } else {
            for index in 0..<16 {
                let low = UInt8(max(0, min(15, x[index] * inverse + 8.5))), high = UInt8(max(0, min(15, x[index + 16] * inverse + 8.5)))
                codes[index] = low | high << 4
            }
        }
    }
}
