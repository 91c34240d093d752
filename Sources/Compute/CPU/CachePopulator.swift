import Dispatch
import Glibc
import Synchronization

/// Has the kernel hand out the KV cache's memory a little ahead of its use, on a thread of its own: a page's first touch costs more than
/// computing the token that goes there, above all in virtual machines. What is never used is still never taken.
final class CachePopulator: Sendable {
    private struct State {
        /// Bytes from the start that have been asked for.
        var populated = 0
        var isRunning = false
    }

    private let memory: HostMemory
    /// Bytes to be ahead of the highest used one.
    private let margin: Int
    private let state = Mutex(State())
    private static let queue = DispatchQueue(label: "needletail.kv-cache", qos: .utility)
    /// Bytes asked for at a time, one large page: the address space stays locked meanwhile.
    private static let piece = 2 << 20

    init(_ memory: HostMemory, margin: Int) {
        self.memory = memory
        self.margin = margin
        use(upTo: 0)
    }

    /// Notes that bytes up to `end` are about to be written.
    func use(upTo end: Int) {
        let target = min(memory.byteCount, end + margin)
        let starts = state.withLock { state in
            // Half the margin is the hysteresis: most steps ask for nothing.
            guard !state.isRunning, target - state.populated > margin / 2 || (target == memory.byteCount && state.populated < target) else { return false }
            state.isRunning = true
            return true
        }
        if starts { Self.queue.async { [self] in populate(to: target) } }
    }

    private func populate(to target: Int) {
        var begin = state.withLock { $0.populated }
        while begin < target {
            let count = min(Self.piece, target - begin)
            // MADV_POPULATE_WRITE (Linux 5.14); an older kernel refuses, and pages come when they are touched.
            if madvise(memory.base + begin, count, 23) != 0 { begin = memory.byteCount } else { begin += count }
        }
        state.withLock { state in
            state.populated = max(begin, target)
            state.isRunning = false
        }
    }
}
