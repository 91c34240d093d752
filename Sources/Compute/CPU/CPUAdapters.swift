import CKernels
import Step
import Tensors

/// One module of an adapter, as the kernels take it. A and B stay in the type they are stored in.
struct CPUAdapterPart {
    let part: LowRankAdapter.Part
    let downType: nt_type
    let upType: nt_type
    /// Column of the matrix's product where B's outputs are added.
    let firstColumn: Int

    var rank: Int { part.down.shape[0] }
    var inputs: Int { part.down.shape[1] }
    var outputs: Int { part.up.shape[0] }
}

/// Adapters known to a backend, and which rows of the step at hand have one.
struct CPUAdapters {
    /// Rows of the batch, one after another, that have the same adapter.
    struct Run {
        var slot: Int
        var begin: Int
        var end: Int
    }

    /// A run's share in one module: `lowered = scale * A x`, then `y += B lowered`.
    struct Work {
        var run: Run
        /// Index among the matrix's parts of the run's adapter.
        var part: Int
        /// Floats before its `[rows, rank]` in the lowered buffer.
        var offset: Int
    }

    private struct WeakMatrix {
        weak var matrix: Matrix?
    }

    private var matrices: [WeakMatrix] = []
    private var slots: [Int32: Int] = [:]
    private var vacantSlots: [Int] = []
    private var slotCount = 0
    /// Over the tokens of the step, and over the rows whose logits are wanted. Empty where no sequence has an adapter.
    private(set) var tokenRuns: [Run] = []
    private(set) var logitRuns: [Run] = []
    /// Of the product at hand.
    var work: [Work] = []
    var lowered: UnsafeMutablePointer<Float>?

    /// Adapters of this matrix's modules will be found.
    mutating func watch(_ matrix: Matrix) -> Matrix {
        matrices.append(WeakMatrix(matrix: matrix))
        return matrix
    }

    var targets: [AdapterTarget] {
        matrices.compactMap(\.matrix).flatMap { matrix in matrix.modules.map { AdapterTarget(module: $0, inputs: matrix.inputs) } }
    }

    // MARK: Installing

    mutating func install(_ adapter: LowRankAdapter, as id: Int32) throws(BackendError) {
        var places: [String: (matrix: Matrix, module: MatrixModule)] = [:]
        for matrix in matrices.compactMap(\.matrix) {
            for module in matrix.modules { places[module.name] = (matrix, module) }
        }
        // Everything is checked before anything is changed.
        var parts: [(matrix: CPUMatrix, part: CPUAdapterPart)] = []
        for part in adapter.parts {
            guard let (matrix, module) = places[part.module] else {
                throw .shapeMismatch("the adapter is for '\(part.module)', which is no module of this model")
            }
            guard part.down.shape.rank == 2, part.up.shape.rank == 2, part.down.shape[0] == part.up.shape[1], part.down.shape[1] == matrix.inputs,
                part.up.shape[0] == module.outputs
            else {
                throw .shapeMismatch(
                    "the adapter's '\(part.module)' has shapes \(part.down.shape) and \(part.up.shape), but the module has \(matrix.inputs) inputs "
                        + "and \(module.outputs) outputs")
            }
            guard let downType = part.down.dtype.kernelType, nt_block_elements(downType) == 1 else {
                throw .unsupportedWeight(dtype: part.down.dtype, reason: "adapters are taken as f32, f16 or bf16")
            }
            guard let upType = part.up.dtype.kernelType, nt_block_elements(upType) == 1 else {
                throw .unsupportedWeight(dtype: part.up.dtype, reason: "adapters are taken as f32, f16 or bf16")
            }
            parts.append((matrix.onCPU, CPUAdapterPart(part: part, downType: downType, upType: upType, firstColumn: module.firstColumn)))
        }
        remove(id)
        let slot = vacantSlots.popLast() ?? slotCount
        slotCount = max(slotCount, slot + 1)
        slots[id] = slot
        for (matrix, part) in parts {
            while matrix.adapters.count <= slot { matrix.adapters.append([]) }
            matrix.adapters[slot].append(part)
        }
    }

    mutating func remove(_ id: Int32) {
        guard let slot = slots.removeValue(forKey: id) else { return }
        for matrix in matrices.compactMap(\.matrix) where matrix.onCPU.adapters.count > slot { matrix.onCPU.adapters[slot] = [] }
        vacantSlots.append(slot)
    }

    // MARK: A step

    /// Finds the rows that have adapters.
    mutating func plan(_ batch: borrowing StepBatch) throws(BackendError) {
        tokenRuns.removeAll(keepingCapacity: true)
        logitRuns.removeAll(keepingCapacity: true)
        guard batch.adapterIDs.contains(where: { $0 != 0 }) else { return }
        guard batch.adapterIDs.count == batch.sequenceCount else {
            throw .shapeMismatch("a batch of \(batch.sequenceCount) sequences has \(batch.adapterIDs.count) adapter ids")
        }
        var row = 0
        for sequence in 0..<batch.sequenceCount {
            let end = Int(batch.queryStarts[sequence + 1])
            let firstRow = row
            while row < batch.logitRows.count, Int(batch.logitRows[row]) < end { row += 1 }
            let id = batch.adapterIDs[sequence]
            if id == 0 { continue }
            guard let slot = slots[id] else { throw .unknownAdapter(id) }
            Self.extend(&tokenRuns, Run(slot: slot, begin: Int(batch.queryStarts[sequence]), end: end))
            Self.extend(&logitRuns, Run(slot: slot, begin: firstRow, end: row))
        }
    }

    private static func extend(_ runs: inout [Run], _ run: Run) {
        if run.begin == run.end { return }
        if let last = runs.last, last.slot == run.slot, last.end == run.begin {
            runs[runs.count - 1].end = run.end
        } else {
            runs.append(run)
        }
    }
}
