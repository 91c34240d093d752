import CKernels
import Tensors
import Weights

/// A matrix of a checkpoint as float32 rows, widened when asked for.
struct FloatRows {
    let rows: Int
    let columns: Int
    private let view: TensorView
    private let type: nt_type?
    /// Types that the kernels do not widen (f64, FP8), widened at once.
    private let values: [Float]
    /// Heads whose rows are put in the order of interleaved rotation; 0 keeps the order.
    private let interleavedHeads: Int

    /// - Parameter view: of rank 1 or more; all axes but the last are rows.
    init(_ view: TensorView, name: String, interleavedHeads: Int = 0) throws(QuantiseError) {
        guard let columns = view.shape.dimensions.last, columns > 0 else { throw QuantiseError("tensor '\(name)' has the shape \(view.shape)") }
        self.view = view
        self.columns = columns
        rows = view.count / columns
        self.interleavedHeads = interleavedHeads
        if interleavedHeads > 0, rows % (2 * interleavedHeads) != 0 {
            throw QuantiseError("tensor '\(name)' has \(rows) rows, which are no \(interleavedHeads) heads")
        }
        let kernel = view.dtype.ggmlType.map { nt_type(rawValue: $0) }
        if let kernel, nt_row_bytes(kernel, columns) * rows == view.byteCount, rows > 0 {
            type = kernel
            values = []
        } else {
            type = nil
            do {
                values = try view.floats()
            } catch {
                throw QuantiseError("tensor '\(name)' is stored as \(view.dtype), which cannot be quantised; start from an unquantised checkpoint")
            }
        }
    }

    var byteCount: Int { view.byteCount }

    /// Row `row` of the result into `destination`, `[columns]`.
    func read(_ row: Int, into destination: UnsafeMutablePointer<Float>) {
        let source = place(row)
        guard let type else {
            values.withUnsafeBufferPointer { if let base = $0.baseAddress { destination.update(from: base + source * columns, count: columns) } }
            return
        }
        view.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            _ = nt_dequantize_row(type, base + source * (bytes.count / rows), destination, columns)
        }
    }

    /// llama.cpp rotates neighbouring pairs where the hub's checkpoints rotate halves: row `2i + j` of a head is row `j * half + i`.
    private func place(_ row: Int) -> Int {
        guard interleavedHeads > 0 else { return row }
        let size = rows / interleavedHeads, inHead = row % size
        return row - inHead + inHead % 2 * (size / 2) + inHead / 2
    }
}
