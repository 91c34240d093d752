extension StoredWeight {
    /// Output rows `range`. Copies nothing.
    package func rows(_ range: Range<Int>) throws(TensorError) -> StoredWeight {
        switch self {
        case .dense(let view): return .dense(try view.rows(range))
        case .grouped(var weight):
            weight.codes = try weight.codes.rows(range)
            weight.scales = try weight.scales.rows(range)
            weight.zeros = try weight.zeros.map { zeros throws(TensorError) in try zeros.rows(range) }
            weight.outputs = range.count
            return .grouped(weight)
        }
    }

    /// Output rows in the order of `indices`, which may repeat: a copy.
    package func rows(_ indices: [Int]) throws(TensorError) -> StoredWeight {
        switch self {
        case .dense(let view): return .dense(try view.gatheredRows(indices))
        case .grouped(var weight):
            weight.codes = try weight.codes.gatheredRows(indices)
            weight.scales = try weight.scales.gatheredRows(indices)
            weight.zeros = try weight.zeros.map { zeros throws(TensorError) in try zeros.gatheredRows(indices) }
            weight.outputs = indices.count
            return .grouped(weight)
        }
    }

    /// Bytes of all parts in memory or in the file.
    package var byteCount: Int {
        switch self {
        case .dense(let view): view.byteCount
        case .grouped(let weight):
            weight.codes.byteCount + weight.scales.byteCount + (weight.zeros?.byteCount ?? 0) + 4 * (weight.inputOrder?.count ?? 0)
        }
    }
}

extension TensorView {
    /// Indices of the outermost axis in the order asked for, as a copy. Throws where one is outside.
    package func gatheredRows(_ indices: [Int]) throws(TensorError) -> TensorView {
        guard shape.rank > 0 else { throw TensorError("a scalar has no rows") }
        for index in indices where !(0..<rowCount ~= index) { throw TensorError("row \(index) is outside shape \(shape)") }
        var gathered = shape
        gathered[0] = indices.count
        let length = bytesPerRow
        return try withUnsafeBytes { source throws(TensorError) in
            try TensorView.make(dtype, gathered) { target in
                guard length > 0, let to = target.baseAddress, let from = source.baseAddress else { return }
                for (place, index) in indices.enumerated() {
                    (to + place * length).copyMemory(from: from + index * length, byteCount: length)
                }
            }
        }
    }
}
