extension TensorView {
    /// A copy of a vector with its elements in this order. Throws where there is no such element, or the type packs several.
    package func gatheringElements(_ indices: [Int]) throws(TensorError) -> TensorView {
        guard shape.rank == 1, dtype.blockSize == 1 else { throw TensorError("\(dtype) \(shape) is no vector of single elements") }
        return try reshaped([count, 1]).gatheredRows(indices).reshaped([indices.count])
    }
}
