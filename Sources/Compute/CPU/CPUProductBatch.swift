import CKernels

/// Matrix products that run as one parallel loop: a decode step's experts are small, and a loop for each would leave threads idle at its end.
struct CPUProductBatch: ~Copyable {
    private struct Job {
        /// Of the whole product; a chunk narrows its columns.
        var arguments: nt_linear_args
        var columnsPerChunk: Int
        var firstChunk: Int
    }

    private var jobs = StepBuffer<Job>()
    /// Of the batch, about the time of one multiplication and addition.
    private var cost = 0
    private(set) var scratchBytes = 0

    /// Multiplications below which one thread is done before others have woken.
    private static let smallCost = 1 << 17
    /// Rows up to which a product takes the time of reading its weights.
    private static let rowsForFree = 4

    mutating func removeAll() {
        jobs.resize(to: 0)
        cost = 0
        scratchBytes = 0
    }

    /// `y[rows, part.outputs] = x Wᵀ + bias`.
    /// - Parameters:
    ///   - bias: `[part.outputs]` or nil.
    ///   - y: row 0 of the part's first column; `yStride` floats between rows.
    mutating func append(
        _ part: CPUMatrix.Part, inputs: Int, bias: UnsafePointer<Float>?, x: CPUBackend.Activations, rows: Int, y: UnsafeMutablePointer<Float>,
        yStride: Int, rowsPerTile: Int
    ) {
        scratchBytes = max(scratchBytes, part.scratchBytes(x.type, rows: min(rows, rowsPerTile), inputs: inputs))
        var row = 0
        while row < rows {
            var arguments = nt_linear_args()
            arguments.x = x.base + row * x.stride
            arguments.x_stride = x.stride
            arguments.x_type = x.type
            part.describe(in: &arguments)
            arguments.m = min(rowsPerTile, rows - row)
            arguments.k = inputs
            arguments.bias = bias
            arguments.y = y + row * yStride
            arguments.y_stride = yStride
            cost += part.outputs * Self.costPerColumn(arguments)
            jobs.append(Job(arguments: arguments, columnsPerChunk: 0, firstChunk: 0))
            row += rowsPerTile
        }
    }

    private static func costPerColumn(_ arguments: nt_linear_args) -> Int { max(rowsForFree, arguments.m) * arguments.k }

    /// Runs all products; how they are cut never changes a result.
    mutating func run(on pool: ThreadPool, scratch: [UnsafeMutableRawPointer?]) {
        let target = cost <= Self.smallCost ? cost : cost / (pool.threadCount * 4)
        var chunks = 0
        for index in 0..<jobs.count {
            let arguments = jobs.base[index].arguments
            let wanted = target / max(1, Self.costPerColumn(arguments))
            // Whole groups of panels, where there are enough.
            let unit = arguments.n >= 512 ? 64 : 16
            let columns = max(unit, (wanted + unit - 1) / unit * unit)
            jobs.base[index].columnsPerChunk = columns
            jobs.base[index].firstChunk = chunks
            jobs.base[index].arguments.scratch_bytes = scratchBytes
            chunks += (arguments.n + columns - 1) / columns
        }
        let jobs = UnsafePointer(jobs.base), count = self.jobs.count
        if cost <= Self.smallCost {
            for chunk in 0..<chunks { Self.compute(chunk, jobs, count, scratch[0]) }
        } else {
            pool.parallelFor(chunks) { chunk, worker in Self.compute(chunk, jobs, count, scratch[worker]) }
        }
    }

    private static func compute(_ chunk: Int, _ jobs: UnsafePointer<Job>, _ count: Int, _ scratch: UnsafeMutableRawPointer?) {
        // The last job that starts at or before the chunk.
        var low = 0, high = count
        while high - low > 1 {
            let middle = (low + high) / 2
            if jobs[middle].firstChunk <= chunk { low = middle } else { high = middle }
        }
        let job = jobs[low], local = chunk - job.firstChunk
        var arguments = job.arguments
        arguments.n_begin = local * job.columnsPerChunk
        arguments.n_end = min(arguments.n, (local + 1) * job.columnsPerChunk)
        arguments.scratch = scratch
        nt_linear(&arguments)
    }
}
