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

    static func canWrite(_ dtype: DType) -> Bool {
        [.f32, .f16, .bf16].contains(dtype) || dtype.ggmlType.map { nt_can_quantize(nt_type(rawValue: $0)) } ?? false
    }

    /// One row, `columns` long.
    static func write(_ type: nt_type, _ source: UnsafePointer<Float>, _ target: UnsafeMutableRawPointer, _ columns: Int) {
        switch type {
        case NT_F32: target.copyMemory(from: source, byteCount: columns * 4)
        case NT_F16: nt_f32_to_f16(source, target.assumingMemoryBound(to: UInt16.self), columns)
        case NT_BF16: nt_f32_to_bf16(source, target.assumingMemoryBound(to: UInt16.self), columns)
        default: _ = nt_quantize_row(type, source, target, columns, nil)
        }
    }
}
