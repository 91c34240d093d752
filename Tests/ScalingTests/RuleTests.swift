import Jobs
import Scaling
import Testing

@Suite struct RuleTests {
    /// Check 21, first half, and its neighbours.
    @Test(arguments: [
        (waiting: 10, running: 0, value: 3.0, max: 10, starts: 4), (10, 0, 3, 3, 3), (9, 0, 3, 10, 3), (1, 0, 100, 10, 1),
        (0, 10, 3, 10, 4), (4, 5, 3, 10, 3), (0, 0, 3, 10, 0), (5, 0, 0.5, 100, 10), (1_000_000_000, 0, 0.1, 7, 7), (3, 0, 1, 0, 0),
    ])
    func requestCountDivides(_ row: (waiting: Int, running: Int, value: Double, max: Int, starts: Int)) {
        let queue = QueueFigures(inQueue: row.waiting, inProgress: row.running, oldestQueuedAt: at(0))
        let plan = plan(0, settings(.requestCount, value: row.value, max: row.max), queue)
        #expect(plan.starts == row.starts, "\(plan.why)")
        #expect(plan.desired == row.starts)
    }

    /// Check 21, second half: one worker at once, one more for each 4 s that the oldest job waits.
    @Test func queueDelayAddsOneForEachValueSeconds() {
        var workers: [WorkerView] = [], started: [Int] = []
        let queue = QueueFigures(inQueue: 5, oldestQueuedAt: at(0))
        for tenth in 0..<300 {
            let plan = plan(Double(tenth) / 10, settings(max: 5), queue, workers)
            for _ in 0..<plan.starts {
                started.append(tenth)
                workers.append(worker("w\(workers.count)", .initializing, startedAt: Double(tenth) / 10))
            }
        }
        #expect(started == [0, 80, 120, 160, 200])
    }

    @Test func queueDelayStartsNoMoreThanJobsWait() {
        let one = QueueFigures(inQueue: 1, oldestQueuedAt: at(0))
        #expect(plan(100, settings(), one).starts == 1)
        #expect(plan(100, settings(), one, [worker("a", .initializing, startedAt: 50)]).starts == 0)
        #expect(plan(100, settings(), one, [worker("a", .running, startedAt: 50, running: 1)]).starts == 1)
    }

    @Test func queueDelayCountsWorkersSinceTheOldestJob() {
        let queue = QueueFigures(inQueue: 2, inProgress: 1, oldestQueuedAt: at(100))
        let old = worker("old", .running, startedAt: 0, running: 1), new = worker("new", .initializing, startedAt: 104.5)
        #expect(plan(103.9, settings(), queue, [old]).starts == 0)
        #expect(plan(104, settings(), queue, [old]).starts == 1)
        #expect(plan(107.9, settings(), queue, [old, new]).starts == 0)
        #expect(plan(108, settings(), queue, [old, new]).starts == 1)
        // One that died since is no addition.
        #expect(plan(107.9, settings(), queue, [old, worker("new", .stopped, startedAt: 104.5)]).starts == 1)
    }

    /// Check 18.
    @Test(arguments: ScalingSettings.Rule.allCases)
    func lowPriorityAloneStartsNothing(_ rule: ScalingSettings.Rule) {
        let low = QueueFigures(inQueue: 3, lowPriorityInQueue: 3)
        #expect(plan(1000, settings(rule, value: 1), low).actions.isEmpty)
        let mixed = QueueFigures(inQueue: 4, lowPriorityInQueue: 3, oldestQueuedAt: at(1000))
        #expect(plan(1000, settings(rule, value: 1), mixed).starts == 1)
        // A worker that is up is kept for it, and no second one comes.
        let idle = worker("a", .idle, startedAt: 0, idleSince: 900)
        #expect(plan(1000, settings(rule, value: 1), low, [idle]).actions.isEmpty)
        let taken = QueueFigures(inQueue: 2, lowPriorityInQueue: 2, inProgress: 1, lowPriorityInProgress: 1)
        #expect(plan(1000, settings(rule, value: 1), taken, [worker("a", .running, running: 1)]).actions.isEmpty)
    }

    @Test(arguments: ScalingSettings.Rule.allCases)
    func idleOnesGoAfterTheTimeoutDownToTheMinimum(_ rule: ScalingSettings.Rule) {
        let workers = [worker("a", .idle, idleSince: 10), worker("b", .idle, idleSince: 8), worker("c", .idle, idleSince: 14)]
        #expect(plan(12.9, settings(rule), QueueFigures(), workers).actions.isEmpty)
        #expect(plan(13, settings(rule), QueueFigures(), workers).stopped == ["b"])
        #expect(plan(60, settings(rule), QueueFigures(), workers).stopped == ["b", "a", "c"])
        #expect(plan(60, settings(rule, min: 2), QueueFigures(), workers).stopped == ["b"])
        #expect(plan(60, settings(rule, min: 3), QueueFigures(), workers).actions.isEmpty)
        // One that starts is no replacement for a ready one yet.
        #expect(plan(60, settings(rule, min: 2), QueueFigures(), Array(workers.prefix(2)) + [worker("d", .initializing, startedAt: 50)]).actions.isEmpty)
    }

    @Test func anIdleWorkerStaysWhileJobsWait() {
        let workers = [worker("a", .idle, idleSince: 0), worker("b", .idle, idleSince: 1)]
        let one = QueueFigures(inQueue: 1, lowPriorityInQueue: 1)
        #expect(plan(60, settings(), one, workers).stopped == ["a"])
        #expect(plan(60, settings(.requestCount, value: 10), QueueFigures(inQueue: 5, oldestQueuedAt: at(60)), workers).actions.isEmpty)
    }

    @Test func theMinimumIsKeptUp() {
        #expect(plan(0, settings(min: 2)).starts == 2)
        #expect(plan(0, settings(min: 2), QueueFigures(), [worker("a", .initializing), worker("b", .draining, running: 1)]).starts == 1)
        #expect(plan(0, settings(min: 2, max: 2), QueueFigures(), [worker("a", .running, running: 1), worker("b", .draining, running: 1)]).starts == 0)
    }

    @Test func drainedOnesAreStoppedAndHoldTheirPlace() {
        let queue = QueueFigures(inQueue: 1, oldestQueuedAt: at(0))
        let busy = plan(1, settings(max: 1), queue, [worker("a", .draining, running: 1)])
        #expect(busy.actions.isEmpty)
        #expect(busy.why.contains("workersMax is 1"), "\(busy.why)")
        #expect(plan(1, settings(max: 1), queue, [worker("a", .draining)]).actions == [.stop(WorkerID("a"), reason: "drained")])
        #expect(plan(1, settings(max: 1), queue, [worker("a", .draining, stopping: true)]).actions.isEmpty)
        #expect(plan(1, settings(max: 1), queue, [worker("a", .stopped)]).starts == 1)
        #expect(plan(1, settings(max: 2), queue, [worker("a", .draining, running: 1)]).starts == 1)
    }

    @Test func outdatedOnesAreReplaced() {
        let workers = [
            worker("idle", .idle, idleSince: 0, outdated: true), worker("busy", .running, running: 2, outdated: true),
            worker("loading", .initializing, outdated: true), worker("new", .idle, idleSince: 0),
        ]
        let plan = plan(1, settings(min: 2, max: 10), QueueFigures(inProgress: 2), workers)
        #expect(plan.stopped == ["idle", "loading"])
        #expect(plan.drained == ["busy"])
        #expect(plan.actions.first == .start(1))
        // Without room above the old ones, the new one comes when they are gone.
        let tight = [worker("idle", .idle, idleSince: 0, outdated: true)]
        #expect(ScalingTests.plan(1, settings(min: 1, max: 1), QueueFigures(), tight).starts == 0)
        #expect(ScalingTests.plan(2, settings(min: 1, max: 1), QueueFigures(), [worker("idle", .stopped, outdated: true)]).starts == 1)
    }

    @Test func aWorkerThatNeverGetsReadyIsGivenUp() {
        let queue = QueueFigures(inQueue: 1, oldestQueuedAt: at(0))
        #expect(plan(59.9, settings(max: 1), queue, [worker("a", .initializing)]).actions.isEmpty)
        let late = plan(60, settings(max: 1), queue, [worker("a", .initializing)])
        #expect(late.givenUp == ["a"])
        // Time without room does not count.
        var waiting = worker("b", .throttled)
        waiting.reason = "no node has a GPU"
        let plan = plan(600, settings(max: 1), queue, [waiting])
        #expect(plan.actions.isEmpty)
        #expect(plan.why.contains("no node has a GPU"), "\(plan.why)")
        waiting.state = .initializing
        waiting.loadingSince = at(590)
        #expect(ScalingTests.plan(600, settings(max: 1), queue, [waiting]).actions.isEmpty)
    }

    @Test func orderedOnesWithoutRoomAreCalledOffWhenNobodyAsks() {
        let workers = [worker("a", .throttled, startedAt: 0)]
        #expect(plan(4, settings(), QueueFigures(), workers).actions.isEmpty)
        #expect(plan(5, settings(), QueueFigures(), workers).stopped == ["a"])
        #expect(plan(5, settings(), QueueFigures(inQueue: 1, oldestQueuedAt: at(4)), workers).actions.isEmpty)
    }

    @Test func aLoweredMaximumEndsThoseThatDoLeast() {
        let workers = [
            worker("busy", .running, running: 3), worker("light", .running, running: 1), worker("idle", .idle, idleSince: 0),
            worker("loading", .initializing), worker("waiting", .throttled), worker("guest", .idle, idleSince: 0, managed: false),
        ]
        let queue = QueueFigures(inProgress: 4)
        #expect(plan(1, settings(max: 4), queue, workers).stopped == ["waiting", "loading"])
        let hard = plan(1, settings(max: 2), queue, workers)
        #expect(hard.stopped == ["waiting", "loading", "idle"] && hard.drained == ["light"])
        #expect(plan(1, settings(max: 0), queue, workers).drained == ["light", "busy"])
    }

    @Test func guestsCountAndAreLeftAlone() {
        let guest = worker("guest", .idle, idleSince: 0, outdated: true, managed: false)
        #expect(plan(600, settings(), QueueFigures(), [guest]).actions.isEmpty)
        #expect(plan(600, settings(min: 1), QueueFigures(), [guest]).actions.isEmpty)
        #expect(plan(600, settings(.requestCount, value: 1), QueueFigures(inQueue: 1, oldestQueuedAt: at(600)), [guest]).actions.isEmpty)
    }

    @Test func startsAreLimitedByTheMinute() {
        var history = StartHistory()
        history.started(2, at: at(0))
        let queue = QueueFigures(inQueue: 50, oldestQueuedAt: at(0))
        let limited = settings(.requestCount, value: 1, max: 50, starts: 5)
        let first = plan(1, limited, queue, [worker("a", .initializing), worker("b", .initializing)], history)
        #expect(first.starts == 3)
        history.started(3, at: at(1))
        let second = plan(59, limited, queue, [worker("a", .initializing)], history)
        #expect(second.starts == 0)
        #expect(second.why.contains("maxStartsPerMinute is 5"), "\(second.why)")
        #expect(plan(60, limited, queue, [worker("a", .initializing)], history).starts == 2)
    }
}
