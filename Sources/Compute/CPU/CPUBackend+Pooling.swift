import CKernels
import Glibc
import Tensors

/// What embedding and classification models need besides a decoder's verbs.
extension CPUBackend {
    package func addTokenTypes(_ table: EmbeddingTable, to y: Tensor) {
        let columns = table.columns, rows = table.rows, tokens = plan.tokenTypes.count
        let type = table.onCPU.type, base = table.onCPU.view.bytes.baseAddress
        plan.tokenTypes.withUnsafeBufferPointer { types in
            guard let types = types.baseAddress else { return }
            withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { row in
                guard let row = row.baseAddress else { return }
                for token in 0..<tokens where types[token] != 0 {
                    nt_gather_rows(type, base, rows, columns, types + token, 1, row, columns)
                    nt_add(y.floats + token * columns, row, columns)
                }
            }
        }
    }

    package func gatherMeans(_ x: Tensor, into y: Tensor) {
        let columns = x.columns
        pool.parallelFor(plan.logitRows.count) { row, _ in
            let token = Int(self.plan.logitRows[row]), out = y.floats + row * columns
            if row < self.plan.isTokenRow.count, self.plan.isTokenRow[row] {
                memcpy(out, x.floats + token * columns, columns * 4)
                return
            }
            let sequence = self.plan.sequence(of: token)
            let first = Int(self.plan.queryStarts[sequence]), end = Int(self.plan.queryStarts[sequence + 1])
            memcpy(out, x.floats + first * columns, columns * 4)
            for other in first + 1..<max(end, first + 1) { nt_add(out, x.floats + other * columns, columns) }
            nt_scale(out, out, 1 / Float(end - first), columns)
        }
    }

    package func output(_ x: Tensor) throws -> UnsafeMutableBufferPointer<Float> {
        try scratch.check()
        return UnsafeMutableBufferPointer(start: x.floats, count: x.rows * x.columns)
    }
}

extension CPUStepPlan {
    /// The sequence that a token of the batch belongs to.
    func sequence(of token: Int) -> Int {
        var low = 0, high = sequenceLengths.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if Int(queryStarts[middle]) <= token { low = middle } else { high = middle }
        }
        return low
    }
}
