/// Memory of our own for a tensor that cannot be a window of a file: a slice of an inner axis, a merged projection. Aligned to 64 bytes.
///
/// `@unchecked Sendable`: written only inside `init`, before anybody else has it.
package final class TensorBuffer: @unchecked Sendable {
    package let bytes: UnsafeRawBufferPointer
    private let memory: UnsafeMutableRawPointer

    /// - Parameter fill: writes all bytes; they start as zeros.
    package init<Failure: Error>(
        byteCount: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        memory = UnsafeMutableRawPointer.allocate(byteCount: max(byteCount, 1), alignment: 64)
        bytes = UnsafeRawBufferPointer(start: memory, count: byteCount)
        let writable = UnsafeMutableRawBufferPointer(start: memory, count: byteCount)
        writable.initializeMemory(as: UInt8.self, repeating: 0)
        try fill(writable)
    }

    deinit { memory.deallocate() }
}
