package import Tensors

/// A matrix of activations in a backend's memory, `[rows, columns]`, rows contiguous.
///
/// Only an address and a shape: the backend owns the memory, and a tensor must not outlive it. Used from the engine's thread alone.
package struct Tensor {
    /// First element; a device address where the backend is a device.
    package let address: UnsafeMutableRawPointer
    /// float32 on the CPU backend.
    package let dtype: DType
    package let rows: Int
    package let columns: Int

    package init(address: UnsafeMutableRawPointer, dtype: DType, rows: Int, columns: Int) {
        self.address = address
        self.dtype = dtype
        self.rows = rows
        self.columns = columns
    }

    /// The first `count` rows.
    package func first(_ count: Int) -> Tensor {
        precondition(count <= rows)
        return Tensor(address: address, dtype: dtype, rows: count, columns: columns)
    }

    /// The same memory as rows of fewer columns, again without gaps.
    package func narrowed(to columns: Int) -> Tensor {
        precondition(columns <= self.columns)
        return Tensor(address: address, dtype: dtype, rows: rows, columns: columns)
    }

    /// The elements, where the backend keeps float32 in host memory.
    package var floats: UnsafeMutablePointer<Float> {
        address.assumingMemoryBound(to: Float.self)
    }
}
