internal import Jobs
internal import Logging
internal import Providers
internal import Scaling
internal import Synchronization

/// The end of the gateway.
extension Supervisor {
    /// Lets jobs that run come to their end, and ends the workers that this gateway answers for: they end once their jobs are done.
    /// Returns when nothing is left, or soon after `graceSeconds`. Of several gateways it is the leader that answers for workers; where the leader has died
    /// and this gateway has not been there for long enough to know, it waits for the dead one's lease to run out, leads, and answers for them.
    package func stopAll(graceSeconds: Int) async {
        let began = Timestamp.now
        let deadline = began + (graceSeconds * 1000 + 2000)
        var turn = 0
        await withDiscardingTaskGroup { group in
            while Timestamp.now < deadline, !isOver(since: began) {
                // Workers that a pass under way still starts are among the next turn's.
                for round in leadership.holds ? rounds() : [] {
                    if let workers = round.workers { begin([.stops(workers)], in: &group) { await self.stop(workers, graceSeconds, began) } }
                    begin(round.claims, in: &group) { await self.seeEnd(round) }
                }
                if core.store.isShared, turn % 20 == 0 { begin([.endedJobs], in: &group) { await self.releaseEnded() } }
                turn += 1
                try? await Task.sleep(for: .milliseconds(50))
            }
            // In time, what is under way clears up behind ended workers.
            if Timestamp.now >= deadline { group.cancelAll() }
        }
    }

    private func isOver(since began: Timestamp) -> Bool {
        let taken = claims.taken
        let isAnothers = leadership.isElsewhere
        return core.dispatcher.seats().allSatisfy { seat in
            // Of several gateways the others go on handing out jobs.
            guard !seat.held.values.contains(where: { !core.store.isShared || $0.takenAt < began + 1000 }) else { return false }
            // Without a handle it is one that is just being started, or nobody's.
            let isStarting = seat.record.secretHash != nil && taken.contains(.endpoint(seat.record.endpoint))
            return isAnothers || (seat.record.handle == nil && !isStarting)
        }
    }

    private func begin(_ claims: [SupervisorRound.Claim], in group: inout DiscardingTaskGroup, _ work: @escaping @Sendable () async -> Void) {
        guard self.claims.begin(claims) else { return }
        group.addTask {
            await work()
            _ = self.claims.end(claims)
        }
    }

    /// Does not wait for a pass that is under way.
    private func stop(_ workers: WorkerGroup, _ graceSeconds: Int, _ began: Timestamp) async {
        guard let (provider, endpoint) = await starter(of: workers) else { return }
        for seat in seats(workers) where !seat.isStopping { mark(seat.record.id, asked: true, "the gateway is shutting down") }
        await orderStops(workers, provider, endpoint, longestGrace: graceSeconds, since: began)
    }

    private func seeEnd(_ round: SupervisorRound) async {
        if case .removed(let endpoint) = round { return await endRemoved(endpoint) }
        guard let workers = round.workers, let (provider, _) = await starter(of: workers) else { return }
        var history = StartHistory()
        await lookAfter(workers, provider, &history)
    }

    private func starter(of workers: WorkerGroup) async -> (provider: any WorkerProvider, definition: EndpointDefinition)? {
        guard !seats(workers).isEmpty else { return nil }
        return try? await providers.starter(of: workers, current: core.endpoints.definition(workers.endpoint))
    }

    /// Where several gateways share the store, a job that was handed out here may have ended through another.
    private func releaseEnded() async {
        for endpoint in Set(core.dispatcher.seats().filter { !$0.held.isEmpty }.map(\.record.endpoint)) {
            let limit = 10_000
            guard let running = try? await core.store.jobs(endpoint, in: .inProgress, limit: limit), running.count < limit else { continue }
            let live = Set(running.map(\.id))
            for seat in core.dispatcher.seats(endpoint) {
                for id in seat.held.keys where !live.contains(id) { core.dispatcher.release(id, from: seat.record.id, isDone: false, at: .now) }
            }
        }
    }
}
