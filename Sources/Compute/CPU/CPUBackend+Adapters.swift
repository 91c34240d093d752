import CKernels
import Tensors

/// Low-rank adapters beside a matrix product: `lower` before it, since the product may overwrite its input, and `raise` after it.
///
/// Both sum in float32, in an order that depends on the row and its adapter alone, so that a sequence's bits are the same whatever other
/// adapters are in the batch.
extension CPUBackend {
    package var adapterTargets: [AdapterTarget] { adapters.targets }

    package func install(_ adapter: LowRankAdapter, as id: Int32) throws { try adapters.install(adapter, as: id) }

    package func removeAdapter(_ id: Int32) { adapters.remove(id) }

    /// Floats of activations that a worker prepares at once: within the second-level cache.
    private static let tileFloats = 1 << 16
    /// Multiply-adds below which `raise` is not worth a second thread.
    private static let fewProducts = 1 << 15

    /// Computes `scale * A f(x)` of all rows whose adapter has a part of this matrix.
    /// - Returns: whether there are any.
    func lower(_ input: LinearInput, _ matrix: Matrix) -> Bool {
        if adapters.tokenRuns.isEmpty { return false }
        let parts = matrix.onCPU.adapters
        if parts.isEmpty { return false }
        guard let floats = planWork(rows: input.rows, parts), floats > 0 else { return false }
        let width = matrix.inputs
        let tile = max(4, min(32, Self.tileFloats / width))
        let copies = if case .plain = input { false } else { true }
        guard let memory = scratch.lowered(floats * 4), !copies || scratch.reserve(worker: tile * width * 4) else { return false }
        let lowered = memory.assumingMemoryBound(to: Float.self)
        adapters.lowered = lowered
        let workers = scratch.workerBases, work = adapters.work
        var tiles = 0
        for item in work { tiles += (item.run.end - item.run.begin + tile - 1) / tile }
        pool.parallelFor(tiles) { index, worker in
            var local = index
            for item in work {
                let count = item.run.end - item.run.begin
                let tiles = (count + tile - 1) / tile
                if local >= tiles {
                    local -= tiles
                    continue
                }
                let first = local * tile, rows = min(tile, count - local * tile)
                let part = parts[item.run.slot][item.part]
                var arguments = nt_linear_args()
                if case .plain(let x) = input {
                    arguments.x = UnsafeRawPointer(x.floats + (item.run.begin + first) * x.columns)
                    arguments.x_stride = x.columns * 4
                } else if let scratch = workers[worker] {
                    self.apply(
                        input, row: item.run.begin + first, count: rows, width: width, nt_out(rows: scratch, stride: width * 4, type: NT_ACT_F32))
                    arguments.x = UnsafeRawPointer(scratch)
                    arguments.x_stride = width * 4
                }
                let out = lowered + item.offset + first * part.rank
                arguments.x_type = NT_ACT_F32
                arguments.w = part.part.down.bytes.baseAddress.map { UnsafeRawPointer($0) }
                arguments.w_type = part.downType
                arguments.m = rows
                arguments.n = part.rank
                arguments.k = width
                arguments.n_end = part.rank
                arguments.y = out
                arguments.y_stride = part.rank
                nt_linear(&arguments)
                nt_scale(out, out, part.part.scale, rows * part.rank)
                return
            }
        }
        return true
    }

    /// Lists runs and parts of the product at hand.
    /// - Returns: floats of all lowered rows; nil where it is not known which rows are whose.
    private func planWork(rows: Int, _ parts: [[CPUAdapterPart]]) -> Int? {
        let runs: [CPUAdapters.Run]
        // Where both counts are the same, so are the runs.
        if rows == plan.tokenCount {
            runs = adapters.tokenRuns
        } else if rows == plan.logitRows.count {
            runs = adapters.logitRuns
        } else {
            scratch.fail(.shapeMismatch("adapters on a product of \(rows) rows, in a step of \(plan.tokenCount) tokens and \(plan.logitRows.count) logits"))
            return nil
        }
        adapters.work.removeAll(keepingCapacity: true)
        var floats = 0
        for run in runs where run.slot < parts.count {
            for (index, part) in parts[run.slot].enumerated() {
                adapters.work.append(CPUAdapters.Work(run: run, part: index, offset: floats))
                floats += (run.end - run.begin) * part.rank
            }
        }
        return floats
    }

    /// `y += B lowered`, after `lower` said that there is something.
    func raise(_ matrix: Matrix, into y: UnsafeMutablePointer<Float>) {
        guard let lowered = adapters.lowered else { return }
        let parts = matrix.onCPU.adapters, work = adapters.work, outputs = matrix.outputs
        var products = 0
        for item in work {
            let part = parts[item.run.slot][item.part]
            products += (item.run.end - item.run.begin) * part.outputs * part.rank
        }
        let share = products < Self.fewProducts ? 1 : pool.threadCount * 4
        func step(_ part: CPUAdapterPart) -> Int { max(64, (part.outputs / share + 63) / 64 * 64) }
        var chunks = 0
        for item in work {
            let part = parts[item.run.slot][item.part]
            chunks += (part.outputs + step(part) - 1) / step(part)
        }
        // Parts of one run write to columns of their own, and runs to rows of their own.
        let body = { (index: Int) in
            var local = index
            for item in work {
                let part = parts[item.run.slot][item.part], step = step(part)
                let chunks = (part.outputs + step - 1) / step
                if local >= chunks {
                    local -= chunks
                    continue
                }
                var arguments = nt_linear_args()
                arguments.x = UnsafeRawPointer(lowered + item.offset)
                arguments.x_stride = part.rank * 4
                arguments.x_type = NT_ACT_F32
                arguments.w = part.part.up.bytes.baseAddress.map { UnsafeRawPointer($0) }
                arguments.w_type = part.upType
                arguments.m = item.run.end - item.run.begin
                arguments.n = part.outputs
                arguments.k = part.rank
                arguments.n_begin = local * step
                arguments.n_end = min(part.outputs, (local + 1) * step)
                arguments.y = y + item.run.begin * outputs + part.firstColumn
                arguments.y_stride = outputs
                arguments.accumulate = true
                nt_linear(&arguments)
                return
            }
        }
        if share == 1 {
            for index in 0..<chunks { body(index) }
        } else {
            pool.parallelFor(chunks) { index, _ in body(index) }
        }
    }
}
