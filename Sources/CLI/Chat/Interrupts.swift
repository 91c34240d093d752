import Dispatch
import Glibc

/// Ctrl-C that stops one piece of work instead of the program.
enum Interrupts {
    /// Runs `work` in a task that SIGINT cancels; afterwards SIGINT ends the program again.
    static func stopping<Result: Sendable>(_ work: @escaping @Sendable () async throws -> Result) async throws -> Result {
        let task = Task { try await work() }
        signal(SIGINT, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler { task.cancel() }
        source.resume()
        defer {
            source.cancel()
            signal(SIGINT, SIG_DFL)
        }
        return try await task.value
    }
}
