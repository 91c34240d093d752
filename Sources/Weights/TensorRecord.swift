package import Tensors

/// Element type as a file states it.
package enum StoredType: Sendable, Hashable {
    case known(DType)
    /// The format's own name or number of a type that we do not know; its size is unknown too.
    case unknown(String)

    package var dtype: DType? { if case .known(let dtype) = self { dtype } else { nil } }
}

/// A tensor's entry in a file's table of contents.
package struct TensorRecord: Sendable {
    package let name: String
    package let type: StoredType
    package let shape: Shape
    /// Offset of the first byte in the file.
    package let offset: Int
    /// 0 where the type is unknown.
    package let byteCount: Int
    package let file: MappedFile

    /// The tensor's bytes, aligned to its type (copied where the file has it misaligned).
    package func view() throws(LoadError) -> TensorView {
        switch type {
        case .unknown(let type): throw .unknownType(name: name, file: file.path, type: type)
        case .known(let dtype):
            guard offset >= 0, byteCount >= 0, offset <= file.byteCount - byteCount,
                let view = TensorView(
                    dtype: dtype, shape: shape, bytes: UnsafeRawBufferPointer(rebasing: file.bytes[offset..<offset + byteCount]), owner: file)
            else { throw .malformed(file: file.path, tensor: name, reason: "its data lies outside the file") }
            return view.aligned(to: dtype.alignment)
        }
    }
}
