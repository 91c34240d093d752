import Glibc
import Synchronization

/// Set by the signal handler, which may do nothing else.
private let isInterrupted = Atomic<Bool>(false)

/// Ctrl-C that stops one piece of work instead of the program.
enum Interrupts {
    /// Runs `work` in a task that SIGINT cancels within a twentieth of a second; afterwards SIGINT ends the program again.
    static func stopping<Result: Sendable>(_ work: @escaping @Sendable () async throws -> Result) async throws -> Result {
        // Also initialises the flag, which the handler must not have to.
        isInterrupted.store(false, ordering: .relaxed)
        signal(SIGINT) { _ in isInterrupted.store(true, ordering: .relaxed) }
        defer { signal(SIGINT, SIG_DFL) }
        let task = Task { try await work() }
        // Signals reach a task by no better way: signalfd wants the signal blocked in every thread, also in those that others start.
        let watch = Task {
            while !Task.isCancelled {
                if isInterrupted.load(ordering: .relaxed) { task.cancel() }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
        defer { watch.cancel() }
        return try await task.value
    }
}
