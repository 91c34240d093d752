internal import Synchronization

/// Moments of a worker's life that its owner may want to time.
package final class WorkerEvents: Sendable {
    private let takeSeen = Atomic(false)
    private let outputSeen = Atomic(false)
    private let onFirstTake: @Sendable () -> Void
    private let onFirstOutput: @Sendable () -> Void

    /// - Parameters:
    ///   - onFirstTake: the first poll goes out.
    ///   - onFirstOutput: the first output of the first job is there.
    package init(onFirstTake: @escaping @Sendable () -> Void = {}, onFirstOutput: @escaping @Sendable () -> Void = {}) {
        self.onFirstTake = onFirstTake
        self.onFirstOutput = onFirstOutput
    }

    func firstTake() {
        if !takeSeen.exchange(true, ordering: .relaxed) { onFirstTake() }
    }

    func firstOutput() {
        // A plain look first: this is asked for every output.
        if !outputSeen.load(ordering: .relaxed), !outputSeen.exchange(true, ordering: .relaxed) { onFirstOutput() }
    }
}
