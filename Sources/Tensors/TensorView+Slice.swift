extension TensorView {
    /// Part `rank` of `parts` equal ones along an axis: what one rank of a tensor-parallel group holds.
    ///
    /// A window for the outermost axis, a copy for others. Throws where the extent is no multiple of `parts`, or a part of the innermost
    /// axis would cut a quantised block.
    package func slice(dimension: Int, rank: Int, of parts: Int) throws(TensorError) -> TensorView {
        guard parts > 0, 0..<parts ~= rank else { throw TensorError("part \(rank) of \(parts) does not exist") }
        if parts == 1 { return self }
        guard 0..<shape.rank ~= dimension else { throw TensorError("shape \(shape) has no dimension \(dimension)") }
        let extent = shape[dimension]
        guard extent % parts == 0 else {
            throw TensorError("dimension \(dimension) of shape \(shape) does not divide into \(parts) equal parts")
        }
        let part = extent / parts
        return try slice(dimension: dimension, rank * part..<(rank + 1) * part)
    }

    /// Indices `range` of an axis. A window for the outermost axis (also where all axes outside it have extent 1), a copy for others.
    package func slice(dimension: Int, _ range: Range<Int>) throws(TensorError) -> TensorView {
        guard 0..<shape.rank ~= dimension else { throw TensorError("shape \(shape) has no dimension \(dimension)") }
        let extent = shape[dimension]
        guard range.lowerBound >= 0, range.upperBound <= extent else {
            throw TensorError("\(range) is outside dimension \(dimension) of shape \(shape)")
        }
        var newShape = shape
        newShape[dimension] = range.count
        if bytes.isEmpty { return TensorView(unchecked: dtype, newShape, bytes, owner) }
        // Bytes up to an index of the axis, inside one run of it.
        let isInnermost = dimension == shape.rank - 1
        let inner = shape.product(dimension + 1..<shape.rank) ?? 0
        func offset(_ index: Int) throws(TensorError) -> Int {
            guard let bytes = dtype.byteCount(elements: isInnermost ? index : index * inner) else {
                throw TensorError("index \(index) of dimension \(dimension) is inside a \(dtype) block of \(dtype.blockSize) elements")
            }
            return bytes
        }
        let start = try offset(range.lowerBound), end = try offset(range.upperBound), stride = try offset(extent)
        let outer = shape.product(0..<dimension) ?? 0
        if outer == 1 { return TensorView(unchecked: dtype, newShape, UnsafeRawBufferPointer(rebasing: bytes[start..<end]), owner) }
        let length = end - start
        let buffer = TensorBuffer(byteCount: outer * length) { target in
            guard length > 0, let to = target.baseAddress, let from = bytes.baseAddress else { return }
            for run in 0..<outer { (to + run * length).copyMemory(from: from + run * stride + start, byteCount: length) }
        }
        return withExtendedLifetime(owner) { TensorView(unchecked: dtype, newShape, buffer.bytes, buffer) }
    }
}
