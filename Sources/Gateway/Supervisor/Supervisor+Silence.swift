internal import Jobs
internal import Logging

/// Workers that no provider speaks for, but their own signs of life.
extension Supervisor {
    /// Silence after which a worker counts as lost: three pings, at least half a minute. In ms.
    static func patience(_ endpoint: EndpointDefinition) -> Int { max(3 * endpoint.pingIntervalMilliseconds, leastPatience) }
    static let leastPatience = 30_000
    /// With one that has said that it ends, and has no jobs.
    static let lastPatience = 5000

    /// How long the worker has been silent, if it should not have been, ms. A gateway that has just begun to lead judges nobody: workers may have
    /// talked to others, and what those wrote may not be known here yet.
    func silence(_ seat: WorkerSeat, _ patience: Int) -> Int? {
        guard seat.record.readyAt != nil || seat.record.secretHash == nil, leadership.hasHeld(milliseconds: patience) else { return nil }
        let silence = Timestamp.now - (seat.record.seenAt ?? seat.record.startedAt)
        return silence > patience ? silence : nil
    }

    /// Gives up workers that have not given a sign of life for too long.
    func endSilent(_ seats: [WorkerSeat], _ endpoint: EndpointDefinition) async {
        for seat in seats {
            // What a provider ends is its business from then on. Of others silence is all that tells their end.
            let patience = seat.isLeaving && seat.held.isEmpty ? Self.lastPatience : Self.patience(endpoint)
            guard !seat.isStopping || seat.record.handle == nil, let silence = silence(seat, patience) else { continue }
            let worker = seat.record.id
            let reason = "worker \(worker) gave no sign of life for \(silence / 1000) s"
            logger.warning("\(reason)", metadata: ["endpoint": "\(endpoint.id)"])
            await core.workerIsGone(worker, reason)
            if seat.record.handle == nil { await forget(seat, reason) } else { mark(worker, asked: false, reason) }
        }
    }

    /// Nobody ends a worker that came by itself: drained, and still there, it is as good as new.
    func reopenDrained(_ endpoint: EndpointID) async {
        for seat in core.dispatcher.seats(endpoint) {
            guard core.dispatcher.update(seat.record.id, { $0.reopen(at: .now) }) == true else { continue }
            logger.info("a drained worker gets jobs again", metadata: ["worker": "\(seat.record.id)", "endpoint": "\(endpoint)"])
            await core.saveIfDue(seat.record.id)
        }
    }
}

extension WorkerSeat {
    /// Takes it into service again, if it is drained, well, and nobody but itself can end it.
    /// - Returns: whether it was.
    mutating func reopen(at now: Timestamp) -> Bool {
        guard !isLeaving, record.secretHash == nil, record.handle == nil, record.state == .draining, held.isEmpty, lingering.isEmpty else { return false }
        record.state = record.readyAt == nil ? .initializing : .idle
        record.reason = nil
        isStopping = false
        wasAsked = false
        idleSince = now
        changedSinceSave = true
        return true
    }
}
