import Jobs
import Scaling
import Testing

@Suite struct CrashLoopTests {
    let queue = QueueFigures(inQueue: 1, oldestQueuedAt: at(0))

    /// A command that always exits with 3 a moment after its start.
    @Test func backsOffThenFailsTheQueue() {
        var history = StartHistory(), startedAt: [Double] = []
        var failure: (at: Double, reason: String)?
        for tenth in 0..<400 where failure == nil {
            let now = Double(tenth) / 10
            let plan = plan(now, settings(), queue, [], history)
            if let reason = plan.failure { failure = (now, reason) }
            if plan.starts > 0 {
                #expect(plan.starts == 1)
                startedAt.append(now)
                history.started(1, at: at(now))
                history.ended(startedAt: at(now), readyAt: nil, jobsDone: 0, wasAsked: false, reason: "exit code 3: no such model", at: at(now + 0.05))
            }
        }
        // 1, 2, 4, 8 s after each end.
        #expect(startedAt == [0, 1.1, 3.2, 7.3, 15.4])
        #expect(failure?.at == 15.5)
        #expect(failure?.reason.contains("5 in a row") == true && failure?.reason.contains("exit code 3: no such model") == true)
    }

    @Test func theWaitIsVisibleAndCapped() {
        var history = StartHistory()
        quickExits(3, &history)
        let waiting = plan(100.5, settings(), queue, [], history)
        #expect(waiting.starts == 0 && waiting.failure == nil)
        #expect(waiting.why.contains("next start in 4 s") && waiting.why.contains("exit code 3"), "\(waiting.why)")
        var long = settings()
        long.maxQuickExits = 1000
        quickExits(40, &history)
        #expect(plan(159, long, queue, [], history).starts == 0)
        #expect(plan(160, long, queue, [], history).starts == 1)
    }

    @Test func aNewJobAfterTheCoolDownBringsOneTry() {
        var history = StartHistory()
        quickExits(5, &history)
        let eager = settings(.requestCount, value: 1)
        // Within it jobs fail at once, and nothing starts for the minimum either.
        #expect(plan(129, eager, QueueFigures(inQueue: 3, oldestQueuedAt: at(129)), [], history).failure != nil)
        #expect(plan(131, settings(min: 1), QueueFigures(), [], history).actions.isEmpty)
        #expect(plan(131, eager, QueueFigures(inQueue: 1, lowPriorityInQueue: 1), [], history).actions.isEmpty)
        let attempt = plan(131, eager, QueueFigures(inQueue: 3, oldestQueuedAt: at(131)), [], history)
        #expect(attempt.actions == [.start(1)])
        // While it starts, jobs wait for it; only when it fails as well they fail.
        let loading = plan(150, eager, QueueFigures(inQueue: 4, oldestQueuedAt: at(131)), [worker("w", .initializing, startedAt: 131)], history)
        #expect(loading.actions.isEmpty)
        #expect(loading.why.contains("exit code 3"), "\(loading.why)")
        history.ended(startedAt: at(131), readyAt: nil, jobsDone: 0, wasAsked: false, reason: "exit code 4", at: at(151))
        #expect(plan(151, eager, QueueFigures(inQueue: 4, oldestQueuedAt: at(131)), [], history).failure?.contains("exit code 4") == true)
        // Workers that are kept up without jobs are tried again after five minutes.
        #expect(plan(451, settings(min: 2), QueueFigures(), [], history).starts == 1)
    }

    @Test func aSuccessOrANewDefinitionEndsTheRow() {
        var history = StartHistory()
        quickExits(5, &history)
        var changed = history
        changed.reset()
        #expect(plan(101, settings(), queue, [], changed).starts == 1)
        history.succeeded(startedAt: at(131))
        #expect(history.quickExits == 0)
        #expect(plan(132, settings(.requestCount, value: 1), QueueFigures(inQueue: 3, oldestQueuedAt: at(132)), [], history).starts == 3)
    }

    @Test func aHealthyWorkerKeepsTheQueueAlive() {
        var history = StartHistory()
        quickExits(5, &history)
        // It was there before: its jobs say nothing about those that fail.
        history.succeeded(startedAt: at(0))
        #expect(history.quickExits == 5)
        let busy = worker("old", .running, startedAt: 0, running: 1)
        let eager = settings(.requestCount, value: 1)
        let jobs = QueueFigures(inQueue: 3, inProgress: 1, oldestQueuedAt: at(0))
        let plan = plan(110, eager, jobs, [busy], history)
        #expect(plan.actions.isEmpty)
        #expect(plan.why.contains("next start in 50 s"), "\(plan.why)")
        #expect(ScalingTests.plan(160, eager, jobs, [busy], history).starts == 1)
    }

    @Test func whatCountsAsQuick() {
        func count(ready: Double?, end: Double, jobs: Int = 0, asked: Bool = false) -> Int {
            var history = StartHistory()
            history.ended(startedAt: at(0), readyAt: ready.map(at), jobsDone: jobs, wasAsked: asked, reason: "exit code 0", at: at(end))
            return history.quickExits
        }
        #expect(count(ready: nil, end: 400) == 1)
        #expect(count(ready: 5, end: 6) == 1)
        #expect(count(ready: 5, end: 16) == 0)
        #expect(count(ready: 5, end: 6, jobs: 1) == 0)
        #expect(count(ready: nil, end: 1, asked: true) == 0)
    }

    @Test func thoseThatDieTogetherCountOnce() {
        var history = StartHistory()
        for index in 0..<10 {
            history.ended(
                startedAt: at(0), readyAt: nil, jobsDone: 0, wasAsked: false, reason: "exit code 3", at: at(1 + Double(index) / 10))
        }
        #expect(history.quickExits == 1)
        for _ in 0..<10 { history.failedToStart(orderedAt: at(5), reason: "no such program", at: at(5.01)) }
        #expect(history.quickExits == 2)
    }

    @Test func aLongLifeWithoutJobsIsASuccessToo() {
        var history = StartHistory()
        quickExits(2, &history)
        history.ended(startedAt: at(101), readyAt: at(102), jobsDone: 0, wasAsked: false, reason: "exit code 1", at: at(140))
        #expect(history.quickExits == 2)
        history.ended(startedAt: at(141), readyAt: at(142), jobsDone: 0, wasAsked: false, reason: "exit code 1", at: at(203))
        #expect(history.quickExits == 0)
    }

    /// `count` more quick exits, the last at second 100.
    private func quickExits(_ count: Int, _ history: inout StartHistory) {
        history.reset()
        for index in 0..<count {
            let start = 99 - Double(count - 1 - index) * 2
            history.ended(startedAt: at(start), readyAt: nil, jobsDone: 0, wasAsked: false, reason: "exit code 3", at: at(start + 1))
        }
    }
}
