internal import Glibc
internal import Jobs
internal import Synchronization

/// Lines on their way to a file descriptor. A thread of its own writes them: where the reader of a pipe stalls, lines wait, and beyond a limit they
/// are lost and counted; nobody who logs is held up.
package final class LogQueue: Sendable {
    private final class Load: Sendable {
        /// Bytes that are not written yet.
        let waiting = Mutex(0)
        let lost = Mutex(0)
    }

    private let load: Load
    private let limit: Int
    private let thread: BatchThread<[UInt8]>

    /// - limit: bytes that may wait.
    package init(_ descriptor: Int32, limit: Int = 8 << 20) {
        let load = Load()
        self.load = load
        self.limit = limit
        thread = BatchThread(weightLimit: 64 << 10, weight: { $0.count }) {
            Self.blockBrokenPipe()
            return { lines, _ in
                for line in lines {
                    if !Self.write(line, descriptor) { load.lost.withLock { $0 += 1 } }
                    load.waiting.withLock { $0 -= line.count }
                }
            }
        }
    }

    package func write(_ line: [UInt8]) {
        let fits = load.waiting.withLock { waiting in
            guard waiting + line.count <= limit else { return false }
            waiting += line.count
            return true
        }
        if !fits || !thread.post(line) { load.lost.withLock { $0 += 1 } }
    }

    /// Lines that were lost since it was last asked; 0 while half of the room is taken, so that there is some to tell of them.
    package func takeLost() -> Int {
        guard load.waiting.withLock({ $0 }) <= limit / 2 else { return 0 }
        return load.lost.withLock { lost in
            defer { lost = 0 }
            return lost
        }
    }

    /// Waits until all is written. Blocks: for a process that ends.
    /// - Returns: whether it is.
    package func flush(within time: Duration) -> Bool {
        let end = ContinuousClock.now + time
        while load.waiting.withLock({ $0 }) > 0 {
            guard ContinuousClock.now < end else { return false }
            usleep(1000)
        }
        return true
    }

    /// - Returns: false where nobody can read it any more.
    private static func write(_ line: [UInt8], _ descriptor: Int32) -> Bool {
        line.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count >= 0 {
                    rest = rest.dropFirst(count)
                } else if errno == EAGAIN {
                    // Somebody has made the pipe non-blocking.
                    var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&ready, 1, -1)
                } else if errno != EINTR {
                    return false
                }
            }
            return true
        }
    }

    /// On this thread a pipe without a reader is an error of `write`, not the end of the process.
    private static func blockBrokenPipe() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }
}
