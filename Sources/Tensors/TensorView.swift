/// Why a view cannot be cut or read as asked.
package struct TensorError: Error, Sendable, Equatable, CustomStringConvertible {
    package let reason: String

    package init(_ reason: String) { self.reason = reason }

    package var description: String { reason }
}

/// A contiguous tensor somewhere in memory, last axis innermost, with a hold on what keeps that memory alive. It has no name.
///
/// The bytes always are exactly the shape's size, and views from a checkpoint are aligned to `dtype.alignment`.
///
/// `@unchecked Sendable`: all fields are constants, the bytes are never written and `owner` is Sendable.
package struct TensorView: @unchecked Sendable {
    package let dtype: DType
    package let shape: Shape
    /// Valid while this view, or `owner`, lives: for views that are stored somewhere. With a temporary one use `withUnsafeBytes`.
    package let bytes: UnsafeRawBufferPointer
    /// The mapping or buffer behind `bytes`.
    package let owner: any AnyObject & Sendable

    /// nil where `bytes` is not the size that shape and dtype ask for.
    package init?(dtype: DType, shape: Shape, bytes: UnsafeRawBufferPointer, owner: any AnyObject & Sendable) {
        guard shape.byteCount(dtype) == bytes.count else { return nil }
        self.init(unchecked: dtype, shape, bytes, owner)
    }

    init(unchecked dtype: DType, _ shape: Shape, _ bytes: UnsafeRawBufferPointer, _ owner: any AnyObject & Sendable) {
        self.dtype = dtype
        self.shape = shape
        self.bytes = bytes
        self.owner = owner
    }

    /// A tensor in memory of its own.
    /// - Parameter fill: writes the bytes, which start as zeros.
    package static func make(
        _ dtype: DType, _ shape: Shape, _ fill: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(TensorError) -> TensorView {
        guard let byteCount = shape.byteCount(dtype) else { throw TensorError("\(shape) is not a possible shape for \(dtype)") }
        let buffer = TensorBuffer(byteCount: byteCount, fill)
        return TensorView(unchecked: dtype, shape, buffer.bytes, buffer)
    }

    /// Number of elements.
    package var count: Int { shape.elementCount ?? 0 }

    package var byteCount: Int { bytes.count }

    /// Lends the bytes and keeps them alive meanwhile.
    package func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(owner) {} }
        return try body(bytes)
    }

    // MARK: Rows

    /// Indices of the outermost axis, and the bytes of each.
    package var rowCount: Int { shape.rank == 0 ? 1 : shape[0] }
    package var bytesPerRow: Int { rowCount == 0 ? 0 : bytes.count / rowCount }

    /// A window on indices `range` of the outermost axis. Copies nothing.
    package func rows(_ range: Range<Int>) throws(TensorError) -> TensorView { try slice(dimension: 0, range) }

    /// The tensor at one index of the outermost axis, without that axis. Copies nothing.
    package subscript(row index: Int) -> TensorView {
        get throws(TensorError) {
            guard 0..<rowCount ~= index else { throw TensorError("row \(index) is outside shape \(shape)") }
            let row = try rows(index..<index + 1)
            return try row.reshaped(Shape(shape.dimensions.dropFirst()) ?? [])
        }
    }

    /// The same bytes under another shape with as many elements.
    package func reshaped(_ shape: Shape) throws(TensorError) -> TensorView {
        guard shape.byteCount(dtype) == bytes.count else { throw TensorError("\(self.shape) of \(dtype) cannot be seen as \(shape)") }
        return TensorView(unchecked: dtype, shape, bytes, owner)
    }

    /// This view, or a copy of it where its first byte is not a multiple of `alignment` bytes.
    package func aligned(to alignment: Int) -> TensorView {
        guard let base = bytes.baseAddress, Int(bitPattern: base) % alignment != 0 else { return self }
        let buffer = TensorBuffer(byteCount: bytes.count) { $0.copyMemory(from: bytes) }
        return withExtendedLifetime(owner) { TensorView(unchecked: dtype, shape, buffer.bytes, buffer) }
    }
}
