import CKernels

extension CPUBackend {
    package func linear(_ input: LinearInput, _ matrix: Matrix, into y: Tensor) {
        let lowered = lower(input, matrix)
        product(input, matrix, y.floats, accumulate: false)
        if lowered { raise(matrix, into: y.floats) }
    }

    package func linear(_ input: LinearInput, _ matrix: Matrix, addingTo y: Tensor) {
        let lowered = lower(input, matrix)
        product(input, matrix, y.floats, accumulate: true)
        if lowered { raise(matrix, into: y.floats) }
    }

    /// Rows of activations up to which one thread prepares them: cheaper than waking the others.
    private static let fewRows = 4
    /// Rows of activations that one call of the kernel passes over a panel of weights, so that they stay in the L2 cache.
    static let rowsPerTile = 512

    /// `y[rows, matrix.outputs] (+)= prologue(input) Wᵀ + bias`.
    private func product(_ input: LinearInput, _ matrix: Matrix, _ y: UnsafeMutablePointer<Float>, accumulate: Bool) {
        let parts = matrix.onCPU.parts
        guard input.rows > 0 else { return }
        var first = 0
        // Parts of one matrix usually want the same activations; a run of such parts is one parallel loop.
        while first < parts.count {
            let type = activationType(for: parts[first]), order = parts[first].inputOrder
            var last = first + 1
            while last < parts.count, activationType(for: parts[last]) == type, parts[last].inputOrder === order { last += 1 }
            guard let x = narrow(input, width: matrix.inputs, to: type, order) else { return }
            multiply(x, rows: input.rows, matrix, parts[first..<last], y, accumulate: accumulate)
            first = last
        }
    }

    private func multiply(
        _ x: Activations, rows: Int, _ matrix: Matrix, _ parts: ArraySlice<CPUMatrix.Part>, _ y: UnsafeMutablePointer<Float>, accumulate: Bool
    ) {
        var columns = 0, scratchBytes = 0
        for part in parts {
            columns += part.outputs
            scratchBytes = max(scratchBytes, part.scratchBytes(x.type, rows: rows, inputs: matrix.inputs))
        }
        guard scratch.reserve(worker: scratchBytes) else { return }
        let step = chunkColumns(of: columns)
        let rowTiles = (rows + Self.rowsPerTile - 1) / Self.rowsPerTile
        var columnChunks = 0
        for part in parts { columnChunks += (part.outputs + step - 1) / step }
        let scratch = scratch.workerBases, bias = matrix.onCPU.bias?.floats, outputs = matrix.outputs, inputs = matrix.inputs
        pool.parallelFor(columnChunks * rowTiles) { chunk, worker in
            var local = chunk % columnChunks
            let row = chunk / columnChunks * Self.rowsPerTile
            for part in parts {
                let chunks = (part.outputs + step - 1) / step
                if local >= chunks {
                    local -= chunks
                    continue
                }
                var arguments = nt_linear_args()
                arguments.x = x.base + row * x.stride
                arguments.x_stride = x.stride
                arguments.x_type = x.type
                part.describe(in: &arguments)
                arguments.m = min(Self.rowsPerTile, rows - row)
                arguments.k = inputs
                arguments.n_begin = local * step
                arguments.n_end = min(part.outputs, (local + 1) * step)
                arguments.bias = bias.map { UnsafePointer($0 + part.firstColumn) }
                arguments.y = y + row * outputs + part.firstColumn
                arguments.y_stride = outputs
                arguments.accumulate = accumulate
                arguments.scratch = scratch[worker]
                arguments.scratch_bytes = scratchBytes
                nt_linear(&arguments)
                return
            }
        }
    }

    /// Columns of a chunk: whole panel groups, and a few chunks per thread so that a slow thread does not hold up the rest.
    private func chunkColumns(of columns: Int) -> Int {
        let wanted = columns / (pool.threadCount * 4)
        return max(64, (wanted + 63) / 64 * 64)
    }

    // MARK: Activations

    /// Rows as a kernel takes them.
    struct Activations {
        let base: UnsafeRawPointer
        /// Bytes between rows.
        let stride: Int
        let type: nt_act
    }

    func activationType(for part: CPUMatrix.Part) -> nt_act {
        if configuration.precision == .float32 { return NT_ACT_F32 }
        if let grouped = part.grouped { return nt_grouped_activation(grouped) }
        if nt_linear_supports(NT_ACT_Q8, part.type) { return NT_ACT_Q8 }
        return part.type == NT_BF16 ? NT_ACT_BF16 : NT_ACT_F32
    }

    /// Bytes of a row of `width` activations.
    static func rowBytes(_ width: Int, _ type: nt_act) -> Int {
        switch type {
        case NT_ACT_Q8: nt_q8_row_bytes(width)
        case NT_ACT_BF16: (width * 2 + 63) / 64 * 64
        default: (width * 4 + 63) / 64 * 64
        }
    }

    /// Applies what precedes the product and rounds its result to `type`, in one pass over the rows.
    func narrow(_ input: LinearInput, width: Int, to type: nt_act, _ order: CPUMatrix.InputOrder?) -> Activations? {
        if case .plain(let x) = input, type == NT_ACT_F32, order == nil {
            return Activations(base: UnsafeRawPointer(x.address), stride: x.columns * 4, type: type)
        }
        let stride = Self.rowBytes(width, type), rows = input.rows
        guard scratch.reserve(worker: order == nil ? 0 : width * 8), let base = scratch.narrowed(rows * stride) else { return nil }
        let chunk = rows <= Self.fewRows ? rows : max(2, (rows + pool.threadCount * 4 - 1) / (pool.threadCount * 4))
        pool.parallelFor((rows + chunk - 1) / chunk) { index, worker in
            let row = index * chunk, count = min(chunk, rows - row)
            let out = nt_out(rows: base + row * stride, stride: stride, type: type)
            if let order {
                self.apply(input, row: row, count: count, width: width, in: order, worker: worker, out)
            } else {
                self.apply(input, row: row, count: count, width: width, out)
            }
        }
        return Activations(base: UnsafeRawPointer(base), stride: stride, type: type)
    }

    /// The same with the elements of each row put in order before they are rounded. Rows wait in the worker's own memory.
    private func apply(
        _ input: LinearInput, row: Int, count: Int, width: Int, in order: CPUMatrix.InputOrder, worker: Int, _ out: nt_out
    ) {
        guard let memory = scratch.workerBases[worker] else { return }
        let stored = memory.assumingMemoryBound(to: Float.self), ordered = stored + width
        for at in 0..<count {
            apply(input, row: row + at, count: 1, width: width, nt_out(rows: stored, stride: width * 4, type: NT_ACT_F32))
            order.gather(stored, into: ordered)
            nt_store_rows(ordered, width, 1, width, nt_out(rows: out.rows + at * out.stride, stride: out.stride, type: out.type))
        }
    }

    func apply(_ input: LinearInput, row: Int, count: Int, width: Int, _ out: nt_out) {
        switch input {
        case .plain(let x):
            nt_store_rows(x.floats + row * x.columns, x.columns, count, width, out)
        case .normed(let x, let norm):
            normRows(x, norm, row: row, count: count, out)
        case .activated(let x, let activation):
            activation.apply(gate: x.floats + row * x.columns, up: nil, stride: x.columns, rows: count, width: width, out)
        case .gated(let x, let activation):
            let gate = x.floats + row * x.columns
            activation.apply(gate: gate, up: gate + width, stride: x.columns, rows: count, width: width, out)
        }
    }

    func normRows(_ x: Tensor, _ norm: Norm, row: Int, count: Int, _ out: nt_out) {
        normRows(x.floats + row * x.columns, x.columns, count, width: x.columns, norm, 0, out)
    }

    /// `count` rows of `width` elements, `stride` apart, with the norm's parameters from `parameter` on.
    func normRows(_ source: UnsafePointer<Float>, _ stride: Int, _ count: Int, width: Int, _ norm: Norm, _ parameter: Int, _ out: nt_out) {
        let weight = norm.weight.map { $0.floats + parameter }, bias = norm.bias.map { $0.floats + parameter }
        switch norm.kind {
        case .rms(let offset): nt_rms_norm(source, stride, count, width, weight, offset, norm.epsilon, out)
        case .layer: nt_layer_norm(source, stride, count, width, weight, bias, norm.epsilon, out)
        }
    }
}
