import Jobs
import Synchronization
import Testing

import Gateway

@Suite struct ShutdownTests {
    private typealias Bench = SupervisorBench

    @Test(arguments: [true, false])
    func jobsOfWorkersThatCameByThemselvesAreWaitedFor(leads: Bool) async throws {
        let leadership = Leadership(isSole: leads)
        try await Bench.with({ _ in .none }, leadership: leadership, run: false) { bench in
            let endpoint = try Bench.definition("e", provider: #""none""#)
            bench.define([endpoint])
            let guest = try await bench.worker("guest", of: endpoint)
            let job = bench.job("j", on: guest, of: endpoint)
            async let end = {
                await bench.supervisor.stopAll(graceSeconds: 600)
                return ContinuousClock.now
            }()
            // Nothing tells that somebody waits.
            try await Task.sleep(for: .milliseconds(300))
            let released = ContinuousClock.now
            bench.core.dispatcher.release(job, from: guest, isDone: true, at: .now)
            #expect(await end >= released)
        }
    }

    @Test func aGatewayThatDoesNotLeadLeavesWorkersAlone() async throws {
        let platform = StandInProvider()
        let leadership = Leadership(isSole: false), now = ContinuousClock.now
        leadership.refuse(asked: now - .seconds(60), answered: now - .seconds(60))
        leadership.refuse(asked: now)
        try await Bench.with({ _ in .individual(platform) }, leadership: leadership, run: false) { bench in
            let endpoint = try Bench.definition("e")
            bench.define([endpoint])
            try await bench.worker("w", of: endpoint, handle: "h")
            await bench.supervisor.stopAll(graceSeconds: 600)
            #expect(platform.record.calls.isEmpty)
        }
    }

    /// The lease of the one that died still runs, and nobody renews it.
    @Test func aGatewayThatFollowsADeadOneEndsItsWorkersOnceItLeads() async throws {
        let platform = StandInProvider(), leadership = Leadership(isSole: false)
        leadership.refuse(asked: .now)
        try await Bench.with({ _ in .individual(platform) }, leadership: leadership, run: false) { bench in
            let endpoint = try Bench.definition("e")
            bench.define([endpoint])
            try await bench.worker("w", of: endpoint, handle: "h")
            async let end: Void = bench.supervisor.stopAll(graceSeconds: 600)
            try await Task.sleep(for: .milliseconds(300))
            #expect(platform.record.calls.isEmpty)
            let renewal = Task {
                while !Task.isCancelled {
                    leadership.extend(from: .now)
                    try? await Task.sleep(for: .seconds(1))
                }
            }
            await end
            renewal.cancel()
            #expect(platform.record.stopped == ["h"] && bench.core.dispatcher.seats().isEmpty)
        }
    }

    @Test func allOwnWorkersEndAtOnceWhateverBecameOfTheirEndpoints() async throws {
        let platform = StandInProvider(holding: [.stop])
        try await Bench.with({ _ in .individual(platform) }, run: false) { bench in
            let endpoint = try Bench.definition("e"), removed = try Bench.definition("removed")
            bench.define([endpoint])
            for name in ["1", "2"] { try await bench.worker(name, of: endpoint, handle: "h\(name)") }
            try await bench.worker("3", of: removed, handle: "h3")
            // Told before, with more time than there is now.
            _ = bench.core.dispatcher.update(WorkerID("2")) { seat in
                seat.isStopping = true
                seat.stopOrderedAt = Timestamp(milliseconds: Timestamp.now.milliseconds - 1000)
            }
            async let end: Void = bench.supervisor.stopAll(graceSeconds: 600)
            await platform.wait { $0.open[.stop] == 3 }
            platform.release(.stop)
            await end
            #expect(platform.record.forgotten == ["h1", "h2", "h3"])
            #expect(bench.core.dispatcher.seats().isEmpty)
        }
    }

    @Test func aWorkerThatIsBeingStartedMeanwhileEndsToo() async throws {
        let platform = StandInProvider(holding: [.start])
        try await Bench.with({ _ in .individual(platform) }) { bench in
            bench.define([try Bench.definition("e", #""workersMin": 3"#)])
            await platform.wait { $0.open[.start] == 1 }
            bench.core.isStopping.withLock { $0 = true }
            async let end: Void = bench.supervisor.stopAll(graceSeconds: 600)
            platform.release(.start)
            await end
            // The others of the same plan were not started any more.
            #expect(platform.record.started.count == 1 && platform.record.stopped == platform.record.started)
            #expect(bench.core.dispatcher.seats().isEmpty)
        }
    }

    @Test func aPassThatHangsDoesNotDelayTheStops() async throws {
        let platform = StandInProvider(holding: [.states])
        try await Bench.with({ _ in .individual(platform) }) { bench in
            let endpoint = try Bench.definition("e")
            try await bench.worker("w", of: endpoint, handle: "h")
            bench.define([endpoint])
            await platform.wait { $0.open[.states] == 1 }
            bench.core.isStopping.withLock { $0 = true }
            async let end: Void = bench.supervisor.stopAll(graceSeconds: 600)
            await platform.wait { $0.stopped == ["h"] }
            platform.release(.states)
            await end
            // The pass that hung clears up behind it, and need not have by now.
            await platform.wait { $0.forgotten == ["h"] }
            #expect(platform.record.mostOpen[.states] == 1)
        }
    }
}
