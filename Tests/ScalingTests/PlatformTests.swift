import Jobs
import Scaling
import Testing

@Suite struct PlatformTests {
    @Test func asksForTheSameNumber() {
        let ten = QueueFigures(inQueue: 10, oldestQueuedAt: at(0))
        let eager = settings(.requestCount, value: 3, max: 10)
        #expect(plan(0, eager, ten, platform: PlatformFigures(wanted: 0, ready: 0)).scale == 4)
        #expect(plan(0, eager, ten, platform: PlatformFigures(wanted: 4, ready: 0)).actions.isEmpty)
        #expect(plan(0, settings(min: 1), platform: PlatformFigures(wanted: 0, ready: 0)).scale == 1)
        #expect(plan(0, settings(), ten, platform: PlatformFigures(wanted: 0, ready: 0)).scale == 1)
        // QUEUE_DELAY: those that are not seen yet count as added.
        #expect(plan(7, settings(), ten, platform: PlatformFigures(wanted: 1, ready: 0)).actions.isEmpty)
        #expect(plan(8, settings(), ten, platform: PlatformFigures(wanted: 1, ready: 0)).scale == 2)
    }

    @Test func givesBackOnlyWhatIsIdleBeyondTheTimeout() {
        let workers = [
            worker("a", .idle, idleSince: 90), worker("b", .idle, idleSince: 97), worker("c", .running, running: 1), worker("d", .idle, idleSince: 80),
        ]
        let figures = PlatformFigures(wanted: 5, ready: 4)
        let plan = plan(100, settings(max: 5), QueueFigures(inProgress: 1), workers, platform: figures)
        #expect(plan.scale == 3)
        let costs = plan.deletionCosts
        let order = costs.keys.sorted { (costs[$0] ?? 0) < (costs[$1] ?? 0) }.map(\.text)
        #expect(order == ["d", "a", "b", "c"])
        #expect(ScalingTests.plan(100, settings(min: 4, max: 5), QueueFigures(inProgress: 1), workers, platform: figures).scale == 4)
        #expect(ScalingTests.plan(100, settings(max: 2), QueueFigures(inProgress: 1), workers, platform: figures).scale == 2)
        #expect(ScalingTests.plan(81, settings(max: 5), QueueFigures(inProgress: 1), workers, platform: figures).actions.isEmpty)
    }

    /// They hold the endpoint's former provider's machines; the platform cannot end them.
    @Test func workersStartedOneByOneGoAndDoNotCount() {
        let workers = [
            worker("idle", .idle, idleSince: 0, outdated: true), worker("busy", .running, running: 1, outdated: true),
            worker("drained", .draining, outdated: true), worker("draining", .draining, running: 1, outdated: true),
            worker("ending", .draining, outdated: true, stopping: true), worker("pod", .idle, idleSince: 99),
        ]
        let plan = plan(100, settings(max: 3), QueueFigures(inProgress: 2), workers, platform: PlatformFigures(wanted: 1, ready: 1))
        #expect(plan.stopped == ["idle", "drained"])
        #expect(plan.drained == ["busy"])
        #expect(plan.scale == nil && plan.desired == 0)
    }

    @Test func passesTheReasonOn() {
        let queue = QueueFigures(inQueue: 1, oldestQueuedAt: at(0))
        let plan = plan(1, settings(), queue, platform: PlatformFigures(wanted: 1, ready: 0, reason: "Unschedulable: 0/3 nodes have nvidia.com/gpu"))
        #expect(plan.obstacle?.contains("0/3 nodes") == true)
        #expect(plan.why.contains("0/3 nodes"))
    }
}
