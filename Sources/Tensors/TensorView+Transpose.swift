extension TensorView {
    /// A copy of a matrix with its axes exchanged. Throws for types that pack several elements.
    package func transposed() throws(TensorError) -> TensorView {
        guard shape.rank == 2, dtype.blockSize == 1 else { throw TensorError("\(dtype) \(shape) cannot be transposed") }
        let rows = shape[0], columns = shape[1]
        return try withUnsafeBytes { source throws(TensorError) in
            try TensorView.make(dtype, [columns, rows]) { target in
                guard let from = source.baseAddress, let to = target.baseAddress else { return }
                switch dtype.bytesPerBlock {
                case 1: Self.transpose(from, rows, columns, to, UInt8.self)
                case 2: Self.transpose(from, rows, columns, to, UInt16.self)
                case 4: Self.transpose(from, rows, columns, to, UInt32.self)
                default: Self.transpose(from, rows, columns, to, UInt64.self)
                }
            }
        }
    }

    /// In tiles that stay in the first-level cache.
    @inline(__always)
    private static func transpose<Element: FixedWidthInteger & BitwiseCopyable>(
        _ source: UnsafeRawPointer, _ rows: Int, _ columns: Int, _ target: UnsafeMutableRawPointer, _: Element.Type
    ) {
        let size = MemoryLayout<Element>.size, tileRows = 64, tileColumns = 32
        for top in stride(from: 0, to: rows, by: tileRows) {
            for left in stride(from: 0, to: columns, by: tileColumns) {
                for column in left..<min(left + tileColumns, columns) {
                    for row in top..<min(top + tileRows, rows) {
                        let value = source.loadUnaligned(fromByteOffset: size * (row * columns + column), as: Element.self)
                        target.storeBytes(of: value, toByteOffset: size * (column * rows + row), as: Element.self)
                    }
                }
            }
        }
    }
}
