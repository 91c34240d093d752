#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Memory of our own for a tensor that cannot be a window of a file: a slice of an inner axis, a merged projection. Aligned to 64 bytes.
///
/// `@unchecked Sendable`: written only inside `init`, before anybody else has it.
package final class TensorBuffer: @unchecked Sendable {
    package let bytes: UnsafeRawBufferPointer
    private let memory: UnsafeMutableRawPointer
    private static let alignment = 64

    /// - Parameter fill: writes the bytes, which start as zeros (fresh pages, so a large buffer is not written twice).
    package init<Failure: Error>(
        byteCount: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        let (room, overflow) = byteCount.addingReportingOverflow(Self.alignment)
        guard !overflow, let memory = calloc(room, 1) else { preconditionFailure("no memory for a tensor of \(byteCount) bytes") }
        self.memory = memory
        let start = memory.alignedUp(toMultipleOf: Self.alignment)
        bytes = UnsafeRawBufferPointer(start: start, count: byteCount)
        try fill(UnsafeMutableRawBufferPointer(start: start, count: byteCount))
    }

    deinit { free(memory) }
}
