import Jobs
import Providers
import Testing

import Gateway

@Suite struct SupervisorTests {
    private typealias Bench = SupervisorBench

    // MARK: Definitions that change

    @Test func workersOfARemovedEndpointEndWhenTheirJobsAreOver() async throws {
        let platform = StandInProvider()
        try await Bench.with({ _ in .individual(platform) }) { bench in
            let endpoint = try Bench.definition("e")
            try await bench.worker("idle", of: endpoint, handle: "h1")
            let busy = try await bench.worker("busy", of: endpoint, handle: "h2")
            let job = bench.job("j", on: busy, of: endpoint)
            try await bench.worker("guest", of: endpoint)
            bench.define([endpoint])
            await platform.passes()
            #expect(platform.record.stopped.isEmpty)
            bench.define([])
            await platform.wait { $0.forgotten == ["h1"] }
            await platform.passes()
            #expect(platform.record.stopped == ["h1"] && bench.state(busy) == .draining)
            bench.core.dispatcher.release(job, from: busy, isDone: true, at: .now)
            await platform.wait { $0.forgotten == ["h1", "h2"] }
            await platform.wait { $0.isClosed }
            #expect(try await bench.store.workers().map(\.id.text).filter { $0 != "guest" }.isEmpty)
            #expect(bench.state(busy) == nil)
        }
    }

    @Test(arguments: [#"{"ray": {"address": "http://127.0.0.1:2"}}"#, #"{"kubernetes": {"deployment": "d"}}"#, #""none""#])
    func workersOfAFormerDefinitionAreEndedByWhatStartedThem(_ provider: String) async throws {
        let former = StandInProvider(), latter = StandInProvider()
        let make: ProviderShelf.Make = { endpoint in
            switch endpoint.provider.kind {
            case .ray where endpoint.provider.address == "http://127.0.0.1:1": .individual(former)
            case .process, .ray: .individual(latter)
            case .kubernetes: .fleet(StandInFleet())
            case .none: .none
            }
        }
        try await Bench.with(make) { bench in
            let endpoint = try Bench.definition("e", provider: #"{"ray": {"address": "http://127.0.0.1:1"}}"#)
            let idle = try await bench.worker("idle", of: endpoint, handle: "h1")
            let busy = try await bench.worker("busy", of: endpoint, handle: "h2")
            let job = bench.job("j", on: busy, of: endpoint)
            // As after a restart: nobody has seen the former definition in force.
            bench.define([try Bench.definition("e", provider: provider)])
            await former.wait { $0.forgotten == ["h1"] }
            #expect(bench.state(idle) == nil && bench.core.dispatcher.seat(busy)?.held.count == 1 && former.record.stopped == ["h1"])
            bench.core.dispatcher.release(job, from: busy, isDone: true, at: .now)
            await former.wait { $0.forgotten == ["h1", "h2"] }
            await former.wait { $0.isClosed }
            #expect(latter.record.known.isEmpty && latter.record.stopped.isEmpty && !latter.record.isClosed)
        }
    }

    // MARK: Slow platforms

    @Test func aPlatformThatDoesNotAnswerHoldsUpNobodyElse() async throws {
        let slow = StandInProvider(holding: [.states]), fast = StandInProvider()
        try await Bench.with({ $0.id.text == "a" ? .individual(slow) : .individual(fast) }) { bench in
            let endpoint = try Bench.definition("a")
            try await bench.worker("w", of: endpoint, handle: "h")
            bench.define([endpoint])
            await slow.wait { $0.open[.states] == 1 }
            bench.define([endpoint, try Bench.definition("b", #""workersMin": 1"#)])
            await fast.wait { $0.started.count == 1 }
            await fast.passes()
            #expect(slow.record.mostOpen[.states] == 1 && fast.record.mostOpen[.states] == 1)
            slow.release(.states)
            await slow.passes()
            #expect(slow.record.mostOpen[.states] == 1)
        }
    }

    @Test func workersAreToldToStopAllAtOnceAndAgainIfTheyDoNot() async throws {
        let platform = StandInProvider(holding: [.stop])
        try await Bench.with({ _ in .individual(platform) }) { bench in
            let endpoint = try Bench.definition("e")
            for name in ["1", "2", "3"] {
                try await bench.worker(name, of: endpoint, handle: "h\(name)") { seat in
                    seat.isStopping = true
                    // Long ago, and just now.
                    if name == "2" { seat.stopOrderedAt = Timestamp(milliseconds: 1) }
                    if name == "3" { seat.stopOrderedAt = .now }
                }
            }
            bench.define([endpoint])
            await platform.wait { $0.open[.stop] == 2 }
            platform.release(.stop)
            await platform.wait { $0.forgotten == ["h1", "h2"] }
            #expect(Set(platform.record.stopped) == ["h1", "h2"])
        }
    }

    // MARK: Workers that come by themselves

    @Test func anUnhealthyGuestThatFallsSilentIsForgotten() async throws {
        let platform = StandInProvider()
        try await Bench.with({ _ in .individual(platform) }) { bench in
            let endpoint = try Bench.definition("e")
            try await bench.worker("own", of: endpoint, handle: "h")
            let silent = try await bench.worker("silent", of: endpoint, silentFor: 100) { seat in
                seat.record.state = .unhealthy
                seat.isStopping = true
            }
            let alive = try await bench.worker("alive", of: endpoint) { $0.record.state = .unhealthy }
            bench.define([endpoint])
            await platform.passes()
            #expect(bench.state(silent) == nil && bench.state(alive) == .unhealthy)
            #expect(try await !bench.store.workers().contains { $0.id == silent })
        }
    }

    @Test func aDrainedGuestServesAgain() async throws {
        let platform = StandInProvider()
        try await Bench.with({ _ in .individual(platform) }) { bench in
            let endpoint = try Bench.definition("e")
            try await bench.worker("own", of: endpoint, handle: "h")
            func drained(_ name: String, _ change: (inout WorkerSeat) -> Void = { _ in }) async throws -> WorkerID {
                try await bench.worker(name, of: endpoint) { seat in
                    seat.record.state = .draining
                    seat.isStopping = true
                    change(&seat)
                }
            }
            let free = try await drained("free")
            let busy = try await drained("busy")
            bench.job("j", on: busy, of: endpoint)
            let stuck = try await drained("stuck") { $0.lingering[JobID("k")] = .now }
            bench.define([endpoint])
            await platform.passes()
            #expect(bench.state(free) == .idle && bench.core.dispatcher.openPoll(free, endpoint.id, wanted: 1) != nil)
            #expect(bench.state(busy) == .draining && bench.state(stuck) == .draining)
            bench.core.dispatcher.release(JobID("j"), from: busy, isDone: true, at: .now)
            await platform.passes()
            #expect(bench.state(busy) == .idle)
        }
    }

    // MARK: Demand

    @Test func runningJobsOfLowPriorityStartNoWorkers() async throws {
        let platform = StandInProvider()
        try await Bench.with({ _ in .individual(platform) }) { bench in
            let endpoint = try Bench.definition("e", #""scalerType": "REQUEST_COUNT", "scalerValue": 1, "idleTimeout": 86400"#)
            let worker = try await bench.worker("w", of: endpoint, handle: "h")
            for name in ["1", "2", "3"] { bench.job(name, on: worker, of: endpoint, lowPriority: true) }
            bench.define([endpoint])
            await platform.passes()
            #expect(platform.record.calls[.start] == nil)
            bench.job("4", on: worker, of: endpoint)
            bench.job("5", on: worker, of: endpoint)
            await platform.wait { $0.started.count == 1 }
        }
    }
}

@Suite struct LeadershipTests {
    @Test func aLeaseRunsOutByItself() {
        let leadership = Leadership(isSole: false)
        #expect(!leadership.holds)
        // Asked for long ago: the answer took its time.
        leadership.extend(from: .now - .seconds(9))
        #expect(!leadership.holds)
        leadership.extend(from: .now - .seconds(2))
        #expect(leadership.holds && leadership.hasHeld(milliseconds: 1000) && !leadership.hasHeld(milliseconds: 60_000))
        leadership.extend(from: .now)
        #expect(leadership.hasHeld(milliseconds: 1000))
        leadership.refuse(asked: .now)
        #expect(!leadership.holds && !leadership.hasHeld(milliseconds: 0))
        leadership.extend(from: .now)
        #expect(leadership.holds && !leadership.hasHeld(milliseconds: 60_000))
        #expect(Leadership(isSole: true).hasHeld(milliseconds: .max))
    }

    /// The one that has the lease may have died: only a renewal shows that it has not.
    @Test func anotherGatewayLeadsOnceItHasRenewed() {
        let leadership = Leadership(isSole: false), start = ContinuousClock.now
        #expect(!leadership.isElsewhere)
        leadership.refuse(asked: start - .seconds(1), answered: start)
        leadership.refuse(asked: start + .seconds(9), answered: start + .seconds(9))
        #expect(!leadership.isElsewhere)
        leadership.refuse(asked: start + .seconds(10), answered: start + .seconds(10))
        #expect(leadership.isElsewhere)
        leadership.extend(from: .now)
        #expect(leadership.holds && !leadership.isElsewhere)
        // Lost again, to one that has not renewed yet.
        leadership.refuse(asked: start, answered: start)
        #expect(!leadership.holds && !leadership.isElsewhere)
    }

    /// They may well have pinged another gateway.
    @Test func aFreshLeaderGivesNobodyUpForSilence() async throws {
        let leadership = Leadership(isSole: false), platform = StandInProvider()
        // A lease runs out by the clock, however slow the machine is.
        let renewal = Task {
            while !Task.isCancelled {
                leadership.extend(from: .now)
                try? await Task.sleep(for: .seconds(1))
            }
        }
        try await SupervisorBench.with({ _ in .individual(platform) }, leadership: leadership) { bench in
            defer { renewal.cancel() }
            let endpoint = try SupervisorBench.definition("e")
            let own = try await bench.worker("own", of: endpoint, handle: "h", silentFor: 100)
            let guest = try await bench.worker("guest", of: endpoint, silentFor: 100)
            bench.define([endpoint])
            await platform.passes()
            #expect(bench.state(own) == .idle && bench.state(guest) == .idle && platform.record.stopped.isEmpty)
        }
    }
}
