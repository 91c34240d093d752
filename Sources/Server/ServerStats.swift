internal import Engine
internal import Prometheus
internal import Synchronization

/// What the HTTP side counts, per request and never per token.
final class ServerStats: Sendable {
    struct HTTPKey: Hashable {
        var handler: String
        var method: String
        /// First digit of the status: `2xx`.
        var status: Int
    }

    struct Counts {
        var requests: [HTTPKey: UInt64] = [:]
        var durations: [String: Histogram] = [:]
        /// Requests ended by stop strings, which the engine sees as cancelled.
        var stopStringEnds: UInt64 = 0
        var disconnects: UInt64 = 0
        var rejections: UInt64 = 0
        /// Generating requests in progress.
        var load = 0
    }

    static let durationBounds: [Double] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]

    private let counts = Mutex(Counts())
    private let draining = Atomic(false)

    var current: Counts { counts.withLock { $0 } }
    var isDraining: Bool { draining.load(ordering: .relaxed) }
    func beginDraining() { draining.store(true, ordering: .relaxed) }

    func stopStringEndedRequest() { counts.withLock { $0.stopStringEnds += 1 } }
    func clientDisconnected() { counts.withLock { $0.disconnects += 1 } }
    func rejected() { counts.withLock { $0.rejections += 1 } }

    /// Counts a generating request as in progress for as long as it lives, whatever becomes of the connection.
    final class LoadTicket: Sendable {
        private let stats: ServerStats

        init(_ stats: ServerStats) {
            self.stats = stats
            stats.counts.withLock { $0.load += 1 }
        }

        deinit { stats.counts.withLock { $0.load -= 1 } }
    }

    /// - Parameter handler: the route, not the path: the set of labels must stay small.
    func answered(handler: String, method: String, status: Int, seconds: Double) {
        counts.withLock { counts in
            counts.requests[HTTPKey(handler: handler, method: method, status: status / 100), default: 0] += 1
            counts.durations[handler, default: Histogram(bounds: Self.durationBounds)].observe(seconds)
        }
    }
}
