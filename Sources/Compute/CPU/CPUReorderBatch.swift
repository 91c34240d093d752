import CKernels

/// Rows of activations for weights whose columns are stored in an order of their own (GPTQ with `desc_act`): put in that order and rounded
/// in one parallel loop, before the products that take them.
struct CPUReorderBatch: ~Copyable {
    private struct Row {
        /// Held by the matrix that the row is for.
        let order: Unmanaged<CPUMatrix.InputOrder>
        let source: UnsafePointer<Float>
        let factor: Float
        let width: Int
        let destination: nt_out
    }

    private var rows = StepBuffer<Row>()
    private var free: UnsafeMutableRawPointer?

    /// - Parameter memory: for the rows of all `append`s to come.
    mutating func begin(_ memory: UnsafeMutableRawPointer?) {
        rows.resize(to: 0)
        free = memory
    }

    /// Adds `count` rows of `width` elements.
    /// - Parameter source: address of a row, and a factor on it.
    mutating func append(
        _ order: CPUMatrix.InputOrder, rows count: Int, width: Int, form: nt_act, source: (Int) -> (UnsafePointer<Float>, Float)
    ) -> CPUBackend.Activations? {
        guard let base = free else { return nil }
        let stride = CPUBackend.rowBytes(width, form)
        for row in 0..<count {
            let (address, factor) = source(row)
            rows.append(
                Row(
                    order: .passUnretained(order), source: address, factor: factor, width: width,
                    destination: nt_out(rows: base + row * stride, stride: stride, type: form)))
        }
        free = base + count * stride
        return CPUBackend.Activations(base: UnsafeRawPointer(base), stride: stride, type: form)
    }

    /// - Parameter scratch: room for the widest row in float32, one per worker.
    func run(on pool: ThreadPool, scratch: [UnsafeMutableRawPointer?]) {
        let rows = UnsafePointer(rows.base)
        pool.parallelFor(self.rows.count) { index, worker in
            guard let ordered = scratch[worker]?.assumingMemoryBound(to: Float.self) else { return }
            let row = rows[index]
            row.order._withUnsafeGuaranteedRef { order in
                order.indices.withUnsafeBufferPointer { indices in
                    for column in 0..<min(row.width, indices.count) { ordered[column] = row.source[Int(indices[column])] * row.factor }
                }
            }
            nt_store_rows(ordered, row.width, 1, row.width, row.destination)
        }
    }
}
