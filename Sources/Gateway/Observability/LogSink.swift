internal import Glibc
internal import Synchronization

/// Where log lines go, whole.
package final class LogSink: Sendable {
    /// One line with its end, while no other is written.
    private let out: Mutex<@Sendable ([UInt8]) -> Void>
    private let lost: @Sendable () -> Int

    /// - lost: see `takeLost`.
    package init(lost: @escaping @Sendable () -> Int = { 0 }, _ out: @escaping @Sendable ([UInt8]) -> Void) {
        self.lost = lost
        self.out = Mutex(out)
    }

    package convenience init(_ queue: LogQueue) { self.init(lost: { queue.takeLost() }, { queue.write($0) }) }

    package func write(_ line: [UInt8]) { out.withLock { $0(line) } }

    /// Lines that were lost since it was last asked and that there is room again to tell of.
    package func takeLost() -> Int { lost() }

    private static let standardErrorQueue = LogQueue(STDERR_FILENO)

    /// What waits when the process ends by itself is still written, for up to two seconds.
    package static let standardError: LogSink = {
        atexit { _ = standardErrorQueue.flush(within: .seconds(2)) }
        return LogSink(standardErrorQueue)
    }()
}
