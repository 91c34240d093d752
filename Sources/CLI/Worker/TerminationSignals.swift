import UnixSignals

/// SIGTERM and SIGINT as something to wait for.
struct TerminationSignals: Sendable {
    private let signals: UnixSignalsSequence

    /// From now on the signals do not end the process by themselves.
    init() async { signals = await UnixSignalsSequence(trapping: .sigterm, .sigint) }

    /// Returns at the first signal, or when the task is cancelled.
    func wait() async {
        for await _ in signals { return }
    }
}
