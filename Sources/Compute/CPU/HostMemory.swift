import Glibc

/// Zeroed, page-aligned memory straight from the kernel: untouched pages cost nothing, so buffers can be sized for the largest step.
package final class HostMemory: @unchecked Sendable {
    // Unchecked: the class only owns the mapping; who may touch the bytes when is the backend's business.
    package let base: UnsafeMutableRawPointer
    package let byteCount: Int

    package init(byteCount: Int, for what: String) throws(BackendError) {
        let size = max(byteCount, 1)
        let address = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let address, address != MAP_FAILED else { throw .outOfMemory(what: what, byteCount: byteCount) }
        // Large pages, where the system gives them, save TLB misses while weights stream through.
        if size >= 4 << 20 { madvise(address, size, MADV_HUGEPAGE) }
        base = address
        self.byteCount = size
    }

    deinit { munmap(base, byteCount) }

    package var floats: UnsafeMutablePointer<Float> { base.assumingMemoryBound(to: Float.self) }
}
