import Jobs
import Scaling
import Testing

/// Runs plans against a small model of workers: each takes a job at a time, loads for a while, and ends a while after it was asked to.
private struct Simulation {
    var settings: ScalingSettings
    var now = 0.0
    var workers: [WorkerView] = []
    var queued: [Double] = []
    var jobEnds: [WorkerID: Double] = [:]
    var stopEnds: [WorkerID: Double] = [:]
    var loadSeconds = 3.0
    var history = StartHistory()
    var names = 0
    var startCount = 0
    var stopCount = 0
    var done = 0

    var view: FleetView {
        let figures = QueueFigures(inQueue: queued.count, inProgress: jobEnds.count, oldestQueuedAt: queued.first.map(at))
        return FleetView(now: at(now), settings: settings, queue: figures, workers: workers, history: history, initTimeoutSeconds: 60)
    }

    /// Carries a plan out and checks what every plan has to keep.
    mutating func apply(_ plan: FleetPlan) {
        let readyBefore = workers.count { $0.state == .idle || $0.state == .running }
        for action in plan.actions {
            switch action {
            case .start(let count):
                #expect(count > 0)
                history.started(count, at: at(now))
                for _ in 0..<count {
                    names += 1
                    startCount += 1
                    workers.append(WorkerView(id: WorkerID("w\(names)"), state: .initializing, startedAt: at(now)))
                }
            case .stop(let id, _):
                guard let index = workers.firstIndex(where: { $0.id == id }) else { Issue.record("stops \(id), which is not there"); continue }
                #expect(workers[index].running == 0, "stops a worker that has a job")
                #expect(!workers[index].isStopping, "stops it twice")
                workers[index].isStopping = true
                workers[index].state = .stopped
                stopEnds[id] = now + 0.5
                stopCount += 1
            case .drain(let id, _):
                if let index = workers.firstIndex(where: { $0.id == id }) { workers[index].state = .draining }
            case .giveUp, .failQueue, .scale: Issue.record("no reason for \(action)")
            }
        }
        #expect(workers.count <= max(settings.workersMax, workers.count - plan.starts), "above the maximum")
        let ready = workers.count { $0.state == .idle || $0.state == .running }
        // A changed definition or maximum may go below it for a moment, the idle timeout never.
        let isTimeoutOnly = plan.actions.allSatisfy { if case .stop(_, let reason) = $0 { reason.contains("idleTimeout") } else { false } }
        if ready < readyBefore, isTimeoutOnly {
            #expect(ready >= min(settings.workersMin, settings.workersMax), "below the minimum")
        }
    }

    mutating func pass(_ seconds: Double, jobSeconds: Double) {
        now += seconds
        for (id, end) in stopEnds where end <= now {
            workers.removeAll { $0.id == id }
            stopEnds[id] = nil
        }
        for index in workers.indices {
            let id = workers[index].id
            if workers[index].state == .initializing, at(now) - workers[index].startedAt >= Int(loadSeconds * 1000) {
                workers[index].state = .idle
                workers[index].readyAt = at(now)
                workers[index].idleSince = at(now)
            }
            if let end = jobEnds[id], end <= now {
                jobEnds[id] = nil
                done += 1
                workers[index].running = 0
                if workers[index].state == .running { workers[index].state = .idle }
                workers[index].idleSince = at(now)
            }
            if workers[index].state == .idle, !queued.isEmpty {
                queued.removeFirst()
                jobEnds[id] = now + jobSeconds
                workers[index].state = .running
                workers[index].running = 1
                workers[index].idleSince = nil
            }
        }
    }
}

private struct SplitMix64: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Suite struct SimulationTests {
    /// Random loads, settings and moments: bounds hold, and a plan that was carried out leaves nothing to do at the same moment.
    @Test(arguments: 0..<200)
    func boundsHoldAndPlansSettle(_ seed: Int) {
        var random = SplitMix64(state: UInt64(seed))
        let most = Int.random(in: 0...6, using: &random)
        var simulation = Simulation(
            settings: settings(
                Bool.random(using: &random) ? .requestCount : .queueDelay, value: Double.random(in: 0.5...5, using: &random),
                min: Int.random(in: 0...most, using: &random), max: most, idleTimeout: Double.random(in: 0...8, using: &random),
                starts: Int.random(in: 1...60, using: &random)))
        simulation.loadSeconds = Double.random(in: 0...6, using: &random)
        for _ in 0..<600 {
            if Int.random(in: 0..<4, using: &random) == 0 {
                for _ in 0..<Int.random(in: 0...3, using: &random) { simulation.queued.append(simulation.now) }
            }
            if Int.random(in: 0..<100, using: &random) == 0 { for index in simulation.workers.indices { simulation.workers[index].isOutdated = true } }
            if Int.random(in: 0..<100, using: &random) == 0 { simulation.settings.workersMax = Int.random(in: simulation.settings.workersMin...8, using: &random) }
            simulation.apply(FleetPlan.decide(simulation.view))
            let again = FleetPlan.decide(simulation.view)
            #expect(again.actions.isEmpty, "seed \(seed): \(again)")
            simulation.pass(Double.random(in: 0.05...1, using: &random), jobSeconds: Double.random(in: 0.1...5, using: &random))
        }
    }

    /// As many clients as ever, each sending its next job when the last is done: after a while nothing starts or stops any more.
    @Test(arguments: ScalingSettings.Rule.allCases, [1, 2, 3, 5])
    func aConstantLoadDoesNotFlap(_ rule: ScalingSettings.Rule, _ clients: Int) {
        var simulation = Simulation(settings: settings(rule, value: 1, max: 4, idleTimeout: 5))
        var sent = 0
        for step in 0..<3000 {
            if step == 1000 { (simulation.startCount, simulation.stopCount) = (0, 0) }
            while sent - simulation.done < clients {
                simulation.queued.append(simulation.now)
                sent += 1
            }
            simulation.apply(FleetPlan.decide(simulation.view))
            simulation.pass(0.1, jobSeconds: 0.75)
        }
        #expect(simulation.startCount == 0 && simulation.stopCount == 0)
        #expect(simulation.workers.count >= 1 && simulation.done > 300)
    }

    /// Check 20, without the clock: from nothing to one and back, a hundred times.
    @Test func aHundredCyclesFromZero() {
        var simulation = Simulation(settings: settings(idleTimeout: 1))
        for cycle in 1...100 {
            simulation.queued.append(simulation.now)
            for _ in 0..<100 {
                simulation.apply(FleetPlan.decide(simulation.view))
                simulation.pass(0.1, jobSeconds: 0.2)
            }
            #expect(simulation.done == cycle && simulation.workers.isEmpty && simulation.startCount == cycle)
        }
    }
}
