internal import Jobs
internal import Logging
internal import Synchronization

/// What time does to jobs: run-time limits, expiry, the job log's end. The leader's work, but for the limits of jobs that run through this gateway.
struct Upkeep: Sendable {
    let core: GatewayCore
    let logger: Logger
    /// How long the job log goes back, ms, and how many entries it holds.
    var logAge = 7 * 86_400_000
    var logLimit = 100_000

    func run(leads: @escaping @Sendable () -> Bool) async {
        var turn = 0
        while !Task.isCancelled {
            let next = await endOverdue()
            if leads() {
                if turn % 2 == 0 { await expire() }
                if turn % 240 == 0 { await trimLog() }
            }
            // Hints that went wrong heal.
            let every = core.store.isShared ? 4 : 40
            if turn % every == every - 1 { await synchronise(leads: leads()) }
            turn += 1
            try? await Task.sleep(for: .milliseconds(min(Self.pause, max(20, next - .now))))
        }
    }

    /// Longest time between two looks, ms.
    private static let pause = 250

    /// - Returns: when the next job will have run too long, as far as is known.
    private func endOverdue() async -> Timestamp {
        let now = Timestamp.now
        var next = now + Self.pause
        for seat in core.dispatcher.seats() {
            for (id, held) in seat.held {
                guard let deadline = held.deadline else { continue }
                guard deadline <= now else {
                    next = min(next, deadline)
                    continue
                }
                let reason = "the job ran longer than its executionTimeout of \(deadline - held.takenAt) ms"
                do {
                    let verdict = try await core.apply(id, .timeOut(reason: reason), .committed)
                    // It was over already, by another gateway's word perhaps: then its worker has yet to hear of it.
                    if !verdict.isApplied { core.callOff(id, seat.record.endpoint, at: now) }
                } catch {
                    logger.warning("a job that ran too long could not be ended: \(error)", metadata: ["job": "\(id)"])
                }
            }
        }
        return next
    }

    private func expire() async {
        do {
            while true {
                let removed = try await core.store.expire(at: .now, limit: 500)
                for job in removed {
                    core.dispatcher.dequeue(job.id, job.endpoint)
                    core.callOff(job.id, job.endpoint, at: .now)
                    core.watch.tell(job.id, .poke)
                }
                if removed.count < 500 { return }
            }
        } catch {
            logger.warning("expired jobs could not be removed: \(error)")
        }
    }

    private func trimLog() async {
        do {
            try await core.store.trimLog(before: Timestamp(milliseconds: Timestamp.now.milliseconds - logAge), keeping: logLimit)
        } catch {
            logger.warning("the job log could not be shortened: \(error)")
        }
    }

    private func synchronise(leads: Bool) async {
        do {
            if core.store.isShared { try await core.synchroniseWorkers() }
            for endpoint in core.endpoints.all { try await core.synchronise(endpoint.id, leads: leads) }
        } catch {
            logger.warning("the queue could not be read: \(error)")
        }
    }
}
