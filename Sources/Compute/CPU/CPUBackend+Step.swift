import CKernels
import Glibc
package import Step
import Tensors

extension CPUBackend {
    package func beginStep(_ batch: borrowing StepBatch) throws {
        guard let cache else { throw BackendError.shapeMismatch("a step was begun before the KV cache was made") }
        guard batch.tokenCount <= configuration.maxBatchedTokens else {
            throw BackendError.batchTooLarge("a step of \(batch.tokenCount) tokens exceeds the limit of \(configuration.maxBatchedTokens)")
        }
        for copy in batch.copies { cache.copyBlock(from: Int(copy.source), to: Int(copy.destination)) }
        plan.copy(batch)
        try adapters.plan(batch)
        var highest: Int32 = 0
        for group in batch.groups.indices {
            for slot in batch.groups[group].slotMapping { highest = max(highest, slot) }
        }
        cache.use(upTo: Int(highest) / cache.layout.blockSize)
        plan.cutTiles(splitPositions: Int(NT_KV_SPLIT), kvHeads: cache.layout.fewestHeads, parallelism: pool.threadCount * 4)
        computeRotations()
    }

    private func computeRotations() {
        plan.reserveRotations(ropes)
        for (index, rope) in ropes.enumerated() {
            let half = rope.rotaryDimension / 2
            let cosines = plan.rotations[index].cosines.base, sines = plan.rotations[index].sines.base
            for sequence in plan.sequenceLengths.indices {
                let first = Int(plan.queryStarts[sequence]), end = Int(plan.queryStarts[sequence + 1])
                let promptLength = Int(plan.promptLengths[sequence])
                let chunk = end - first < 16 ? max(1, end - first) : 16
                pool.parallelFor((end - first + chunk - 1) / chunk) { index, _ in
                    for token in first + index * chunk..<min(end, first + (index + 1) * chunk) {
                        let position = self.plan.positions[token]
                        rope.rotation(
                            position: position, textLength: max(promptLength, Int(position) + 1),
                            cosines: cosines + token * half, sines: sines + token * half)
                    }
                }
            }
        }
    }

    package func embed(_ table: EmbeddingTable, scale: Float, into y: Tensor) {
        let columns = table.columns, rows = table.rows, tokens = plan.tokenCount
        let type = table.onCPU.type, base = table.onCPU.view.bytes.baseAddress
        plan.tokenIDs.withUnsafeBufferPointer { ids in
            guard let ids = ids.baseAddress else { return }
            let chunk = 16
            pool.parallelFor((tokens + chunk - 1) / chunk) { index, _ in
                let first = index * chunk, count = min(chunk, tokens - index * chunk)
                let out = y.floats + first * columns
                nt_gather_rows(type, base, rows, columns, ids + first, count, out, columns)
                if scale != 1 { nt_scale(out, out, scale, count * columns) }
            }
        }
    }

    package func embedPositions(_ table: EmbeddingTable, offset: Int, into y: Tensor) {
        let columns = table.columns, rows = table.rows, tokens = plan.tokenCount
        let type = table.onCPU.type, base = table.onCPU.view.bytes.baseAddress
        plan.positions.withUnsafeBufferPointer { positions in
            guard let positions = positions.baseAddress else { return }
            let chunk = 16
            pool.parallelFor((tokens + chunk - 1) / chunk) { index, _ in
                for token in index * chunk..<min(tokens, (index + 1) * chunk) {
                    var row = positions[token] &+ Int32(truncatingIfNeeded: offset)
                    nt_gather_rows(type, base, rows, columns, &row, 1, y.floats + token * columns, columns)
                }
            }
        }
    }

    package func norm(_ x: Tensor, _ norm: Norm, into y: Tensor) {
        let rows = x.rows, chunk = 16
        pool.parallelFor((rows + chunk - 1) / chunk) { index, _ in
            let row = index * chunk
            let out = nt_out(rows: y.address + row * x.columns * 4, stride: x.columns * 4, type: NT_ACT_F32)
            self.normRows(x, norm, row: row, count: min(chunk, rows - row), out)
        }
    }

    package func add(_ x: Tensor, scale: Float, to y: Tensor) {
        let count = x.rows * x.columns, chunk = 1 << 14
        pool.parallelFor((count + chunk - 1) / chunk) { index, _ in
            let first = index * chunk, length = min(chunk, count - index * chunk)
            if scale == 1 { nt_add(y.floats + first, x.floats + first, length) } else { nt_add_scaled(y.floats + first, x.floats + first, scale, length) }
        }
    }

    package func gatherLogitRows(_ x: Tensor, into y: Tensor) {
        let columns = x.columns
        for (row, token) in plan.logitRows.enumerated() {
            memcpy(y.floats + row * columns, x.floats + Int(token) * columns, columns * 4)
        }
    }

    package func logits(_ input: LinearInput, _ matrix: Matrix, scale: Float, softcap: Float) throws -> UnsafeMutableBufferPointer<Float> {
        let rows = input.rows, columns = matrix.outputs
        guard let memory = scratch.logits(rows * columns * 4) else {
            try scratch.check()
            return UnsafeMutableBufferPointer(start: nil, count: 0)
        }
        let out = Tensor(address: memory, dtype: .f32, rows: rows, columns: columns)
        linear(input, matrix, into: out)
        if scale != 1 || softcap != 0 {
            pool.parallelFor(rows) { row, _ in
                let logits = out.floats + row * columns
                if scale != 1 { nt_scale(logits, logits, scale, columns) }
                if softcap != 0 { nt_softcap(logits, softcap, columns) }
            }
        }
        try scratch.check()
        return UnsafeMutableBufferPointer(start: out.floats, count: rows * columns)
    }
}
