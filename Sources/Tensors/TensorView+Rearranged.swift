extension TensorView {
    /// A copy with these indices of the outermost axis, in this order. Throws where one is not there.
    package func gatheringRows(_ indices: [Int]) throws(TensorError) -> TensorView {
        let length = bytesPerRow
        if let wrong = indices.first(where: { !(0..<rowCount ~= $0) }) { throw TensorError("row \(wrong) is outside shape \(shape)") }
        guard shape.rank > 0 else { throw TensorError("a scalar has no rows") }
        var newShape = shape
        newShape[0] = indices.count
        return try .make(dtype, newShape) { target in
            withUnsafeBytes { source in
                guard let to = target.baseAddress, let from = source.baseAddress else { return }
                for (place, row) in indices.enumerated() { (to + place * length).copyMemory(from: from + row * length, byteCount: length) }
            }
        }
    }

    /// A copy of a matrix with its axes exchanged. Throws for types whose elements share blocks and for other ranks.
    package func transposed() throws(TensorError) -> TensorView {
        guard shape.rank == 2, dtype.blockSize == 1 else { throw TensorError("\(shape) of \(dtype) cannot be transposed") }
        let rows = shape[0], columns = shape[1]
        return try .make(dtype, [columns, rows]) { target in
            withUnsafeBytes { source in
                switch dtype.bytesPerBlock {
                case 1: Self.transpose(source, target, rows, columns, as: UInt8.self)
                case 2: Self.transpose(source, target, rows, columns, as: UInt16.self)
                case 4: Self.transpose(source, target, rows, columns, as: UInt32.self)
                default: Self.transpose(source, target, rows, columns, as: UInt64.self)
                }
            }
        }
    }

    /// In square tiles, so that both sides stay in the cache.
    private static func transpose<Element: BitwiseCopyable>(
        _ source: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer, _ rows: Int, _ columns: Int, as _: Element.Type
    ) {
        let tile = 32, size = MemoryLayout<Element>.size
        for rowTile in stride(from: 0, to: rows, by: tile) {
            for columnTile in stride(from: 0, to: columns, by: tile) {
                for row in rowTile..<min(rows, rowTile + tile) {
                    for column in columnTile..<min(columns, columnTile + tile) {
                        let value = source.loadUnaligned(fromByteOffset: (row * columns + column) * size, as: Element.self)
                        target.storeBytes(of: value, toByteOffset: (column * rows + row) * size, as: Element.self)
                    }
                }
            }
        }
    }
}
