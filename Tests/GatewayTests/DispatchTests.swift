import JSON
import Jobs
import NIOCore
import NIOPosix
import Testing

import Gateway
import WorkerProtocol

@Suite struct DispatchTests {
    private let endpoint = EndpointID("e")

    private func job(_ name: String, low: Bool = false, prefix: [UInt64] = []) -> QueuedJob {
        QueuedJob(
            job: Job(
                id: JobID(name), endpoint: endpoint, origin: .run,
                policy: JobPolicy(executionTimeout: 1000, timeToLive: 1000, lowPriority: low, retention: 1000), prefix: prefix, submittedAt: .now))
    }

    private func worker(_ name: String, in dispatcher: Dispatcher) -> WorkerID {
        let id = WorkerID(name)
        dispatcher.insert(WorkerRecord(id: id, endpoint: endpoint, state: .idle, version: "", startedAt: .now))
        return id
    }

    @Test func lowPriorityWaitsForTheOthersAndOrderIsKept() {
        var queue = QueueMirror()
        for name in ["a", "b"] { queue.push(job(name, low: true)) }
        for name in ["c", "d", "e"] { queue.push(job(name)) }
        queue.push(job("back"), toFront: true)
        queue.push(job("c"))
        let isGone = queue.remove(JobID("d"))
        #expect(isGone)
        #expect(queue.count == 5 && queue.lowPriorityCount == 2)
        var order: [String] = []
        while let next = queue.pop() { order.append(next.id.text) }
        #expect(order == ["back", "c", "e", "a", "b"])
        #expect(queue.count == 0 && queue.oldestQueuedAt == nil)
    }

    @Test func theMirrorStaysSmallOverManyJobs() {
        var queue = QueueMirror()
        for turn in 0..<10_000 {
            queue.push(job("\(turn)"))
            queue.push(job("\(turn) back"), toFront: turn % 3 == 0)
            _ = queue.pop()
            _ = queue.pop()
        }
        let none = queue.pop()
        #expect(queue.count == 0 && none == nil)
    }

    @Test func aPurgedQueueLeavesNothingBehind() {
        var queue = QueueMirror()
        let payload = JobPayload(input: Array(repeating: 0x20, count: 100))
        for name in 0..<1000 { queue.push(QueuedJob(job: job("\(name)").job, payload: payload)) }
        #expect(queue.payloadByteCount == 100_000)
        // From the back, so that every place but the last waits for those before it.
        for name in (1..<1000).reversed() { queue.remove(JobID("\(name)")) }
        #expect(queue.payloadByteCount == 100 && queue.oldestQueuedAt != nil)
        queue.remove(JobID("0"))
        #expect(queue.payloadByteCount == 0 && queue.count == 0 && queue.oldestQueuedAt == nil)
        queue.push(job("next"))
        let next = queue.pop()
        #expect(next?.id == JobID("next"))
    }

    @Test func aBatchPollGetsNoMoreThanItWants() {
        let dispatcher = Dispatcher()
        for name in 0..<5 { #expect(dispatcher.enqueue(job("\(name)")).isEmpty) }
        let id = worker("w", in: dispatcher)
        let matches = dispatcher.openPoll(id, endpoint, wanted: 3)?.matches
        #expect(matches?.first?.jobs.map(\.id.text) == ["0", "1", "2"])
        #expect(dispatcher.figures(endpoint).inQueue == 2)
    }

    @Test func aNewJobGetsAWaitingWorkerUnlessOthersWait() {
        let dispatcher = Dispatcher()
        #expect(dispatcher.claimPoll(for: job("first")) == nil && dispatcher.figures(endpoint).inQueue == 0)
        let id = worker("w", in: dispatcher)
        let poll = dispatcher.openPoll(id, endpoint, wanted: 3)?.poll
        #expect(dispatcher.claimPoll(for: job("a"))?.id == poll?.id)
        #expect(dispatcher.holders(of: JobID("a"), endpoint) == [id] && dispatcher.figures(endpoint).inQueue == 0)
        // The poll is a's.
        #expect(dispatcher.claimPoll(for: job("b")) == nil)
        _ = dispatcher.enqueue(job("b"))
        #expect(dispatcher.openPoll(id, endpoint, wanted: 1)?.matches.first?.jobs.map(\.id.text) == ["b"])
        // A worker that has as many as it may have gets none, and the job is nowhere.
        dispatcher.setMaxConcurrency([endpoint: 2])
        _ = dispatcher.openPoll(id, endpoint, wanted: 1)
        #expect(dispatcher.claimPoll(for: job("c")) == nil && dispatcher.figures(endpoint).inQueue == 0)
        // Nor does a job overtake one that waits.
        #expect(dispatcher.enqueue(job("d")).isEmpty)
        dispatcher.setMaxConcurrency([:])
        #expect(dispatcher.claimPoll(for: job("e")) == nil && dispatcher.figures(endpoint).inQueue == 1)
    }

    @Test func aMatchedJobIsHeldBeforeTheStoreHasSaidSo() {
        let dispatcher = Dispatcher()
        let id = worker("w", in: dispatcher)
        _ = dispatcher.openPoll(id, endpoint, wanted: 2)
        var taken = job("a").job
        #expect(dispatcher.enqueue(job("a")).count == 1)
        // Neither idle nor unknown to a cancel.
        #expect(dispatcher.holders(of: taken.id, endpoint) == [id] && dispatcher.isHeld(taken, by: id) == false)
        taken.attempt = 1
        let isConfirmed = dispatcher.confirm(taken, for: id, at: .now)
        #expect(isConfirmed && dispatcher.isHeld(taken, by: id))
        // Called off in the meantime: it must not go out.
        _ = dispatcher.openPoll(id, endpoint, wanted: 2)
        var late = job("b").job
        #expect(dispatcher.enqueue(job("b")).count == 1)
        dispatcher.release(late.id, from: id, isDone: false, at: .now)
        late.attempt = 1
        let isLate = dispatcher.confirm(late, for: id, at: .now)
        #expect(!isLate && dispatcher.holders(of: late.id, endpoint).isEmpty)
    }

    @Test func whatHappensDuringAReadingOfTheQueueCounts() {
        let dispatcher = Dispatcher()
        let id = worker("w", in: dispatcher)
        for name in ["gone", "cancelled", "stale"] { _ = dispatcher.enqueue(job(name)) }
        let read = dispatcher.beginRead()
        // The store is asked now: it has all three. Meanwhile one is handed out, one is cancelled, one comes.
        let matches = dispatcher.openPoll(id, endpoint, wanted: 1)?.matches
        #expect(matches?.first?.jobs.map(\.id.text) == ["gone"])
        dispatcher.dequeue(JobID("cancelled"), endpoint)
        _ = dispatcher.enqueue(job("new"))
        let found = ["gone", "cancelled"].map { job($0).job }
        #expect(dispatcher.resynchronise(endpoint, found, isComplete: true, read: read).isEmpty)
        // Nothing comes a second time, nothing that came is forgotten; what the store does not have is.
        let rest = dispatcher.openPoll(id, endpoint, wanted: 9)?.matches.first?.jobs.map(\.id.text)
        #expect(rest == ["new"])
        // A reading that nothing interferes with is taken as it is.
        let next = dispatcher.beginRead()
        #expect(dispatcher.resynchronise(endpoint, [job("x").job, job("y").job], isComplete: true, read: next).isEmpty)
        #expect(dispatcher.figures(endpoint).inQueue == 2)
    }

    @Test func aReadingThatIsBehindAHandOutGivesNothingOutTwice() {
        let dispatcher = Dispatcher()
        let id = worker("w", in: dispatcher)
        _ = dispatcher.enqueue(job("a"))
        #expect(dispatcher.openPoll(id, endpoint, wanted: 1)?.matches.first?.jobs.map(\.id.text) == ["a"])
        // The store has not been told of it when it is read.
        let read = dispatcher.beginRead()
        #expect(dispatcher.resynchronise(endpoint, ["a", "b"].map { job($0).job }, isComplete: true, read: read).isEmpty)
        #expect(dispatcher.openPoll(id, endpoint, wanted: 9)?.matches.first?.jobs.map(\.id.text) == ["b"])
        // What was lost with that attempt waits again.
        dispatcher.release(JobID("a"), from: id, isDone: false, at: .now)
        var lost = job("a").job
        lost.attempt = 1
        let next = dispatcher.beginRead()
        #expect(dispatcher.resynchronise(endpoint, [lost], isComplete: true, read: next).isEmpty)
        #expect(dispatcher.figures(endpoint).inQueue == 1)
    }

    @Test func aJobThatWaitsAgainIsNobodysAnyMore() {
        let dispatcher = Dispatcher()
        let (first, second) = (worker("1", in: dispatcher), worker("2", in: dispatcher))
        var job = job("a").job
        job.attempt = 1
        dispatcher.assign(job, to: first, at: .now)
        #expect(dispatcher.learn(job, at: .now).isEmpty)
        #expect(dispatcher.holders(of: job.id, endpoint).isEmpty && dispatcher.figures(endpoint).inQueue == 1)
        dispatcher.dequeue(job.id, endpoint)
        var next = job
        next.attempt = 2
        dispatcher.assign(next, to: second, at: .now)
        // The word that it waits is older than that.
        #expect(dispatcher.learn(job, at: .now).isEmpty)
        #expect(dispatcher.holders(of: job.id, endpoint) == [second] && dispatcher.figures(endpoint).inQueue == 0)
    }

    @Test func aStopThatComesAsTheAnswerGoesIsKept() async {
        let dispatcher = Dispatcher()
        let id = worker("w", in: dispatcher)
        let (_, box) = dispatcher.openStopPoll(id)
        box.put([JobID("late")])
        dispatcher.closeStopPoll(id, box)
        dispatcher.stop(JobID("later"), on: id)
        #expect(dispatcher.openStopPoll(id).stops == [JobID("late"), JobID("later")])
        // The box is closed, but still known: as between a hang-up and its handling.
        let (_, closed) = dispatcher.openStopPoll(id)
        closed.close()
        dispatcher.stop(JobID("x"), on: id)
        #expect(dispatcher.openStopPoll(id).stops == [JobID("x")])
    }

    @Test func theLeastBusyWorkerIsChosen() {
        let dispatcher = Dispatcher()
        let (busy, idle) = (worker("busy", in: dispatcher), worker("idle", in: dispatcher))
        dispatcher.assign(job("x").job, to: busy, at: .now)
        _ = dispatcher.openPoll(busy, endpoint, wanted: 4)
        _ = dispatcher.openPoll(idle, endpoint, wanted: 4)
        #expect(dispatcher.enqueue(job("y")).first?.poll.worker == idle)
    }

    @Test func aSharedPrefixGoesWhereItsCacheIsWithinTheLoadBound() {
        let prefix = PromptPrefix.hashes(Array("{\"prompt\": \"\(String(repeating: "the same words ", count: 100))\"}".utf8))
        #expect(prefix.count == 5)
        let dispatcher = Dispatcher()
        let (first, second) = (worker("first", in: dispatcher), worker("second", in: dispatcher))
        _ = dispatcher.openPoll(first, endpoint, wanted: 1)
        let started = dispatcher.enqueue(job("1", prefix: prefix))
        #expect(started.first?.poll.worker == first)
        dispatcher.assign(job("1").job, to: first, at: .now)
        _ = dispatcher.openPoll(second, endpoint, wanted: 1)
        _ = dispatcher.openPoll(first, endpoint, wanted: 1)
        #expect(dispatcher.enqueue(job("2", prefix: prefix)).first?.poll.worker == first)
        // Beyond the bound, load decides.
        for name in 2..<6 { dispatcher.assign(job("held \(name)").job, to: first, at: .now) }
        _ = dispatcher.openPoll(first, endpoint, wanted: 1)
        #expect(dispatcher.enqueue(job("3", prefix: prefix)).first?.poll.worker == second)
    }

    @Test func aDrainingWorkerGetsNothing() {
        let dispatcher = Dispatcher()
        let id = worker("w", in: dispatcher)
        let poll = dispatcher.openPoll(id, endpoint, wanted: 1)?.poll
        _ = dispatcher.update(id) { $0.record.state = .draining }
        dispatcher.dismissPolls(of: id)
        #expect(dispatcher.enqueue(job("a")).isEmpty)
        #expect(dispatcher.openPoll(id, endpoint, wanted: 1) == nil)
        #expect(poll.map { dispatcher.closePoll($0) } == false)
    }

    @Test func aRemovedWorkerDoesNotComeBackFromAnOldList() {
        let dispatcher = Dispatcher()
        let start = Timestamp.now
        let old = WorkerRecord(id: WorkerID("w"), endpoint: endpoint, state: .idle, version: "", startedAt: start)
        #expect(dispatcher.adopt(old) && dispatcher.adopt(old))
        dispatcher.remove(old.id, at: start + 10)
        #expect(!dispatcher.adopt(old) && dispatcher.seat(old.id) == nil)
        // One that came back under its old name is another worker.
        #expect(dispatcher.adopt(WorkerRecord(id: old.id, endpoint: endpoint, state: .idle, version: "", startedAt: start + 20)))
    }

    @Test func stopsReachAWorkerThatAsksLater() async {
        let dispatcher = Dispatcher()
        let id = worker("w", in: dispatcher)
        dispatcher.stop(JobID("j"), on: id)
        let (stops, box) = dispatcher.openStopPoll(id)
        #expect(stops == [JobID("j")])
        dispatcher.closeStopPoll(id, box)
        let next = dispatcher.openStopPoll(id)
        dispatcher.stop(JobID("k"), on: id)
        #expect(await next.box.take(until: nil, on: MultiThreadedEventLoopGroup.singleton.any()) == [[JobID("k")]])
    }
}

@Suite struct StopPollTests {
    @Test func atTheEndHeldPollsAreAnsweredAndStopsKept() async {
        let dispatcher = Dispatcher()
        let id = WorkerID("w")
        dispatcher.insert(WorkerRecord(id: id, endpoint: EndpointID("e"), state: .idle, version: "1", startedAt: .now))
        let (_, box) = dispatcher.openStopPoll(id)
        dispatcher.dismissStopPolls()
        #expect(await box.take(until: nil, on: MultiThreadedEventLoopGroup.singleton.any()).isEmpty)
        dispatcher.stop(JobID("late"), on: id)
        #expect(dispatcher.openStopPoll(id).stops == [JobID("late")])
    }
}

@Suite struct MailboxTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.any()

    @Test func whatCameBeforeTheCloseIsRead() async {
        let box = Mailbox<Int>()
        #expect(box.put(1) && box.put(2))
        box.close()
        #expect(!box.put(3))
        #expect(await box.take(until: nil, on: loop) == [1, 2])
        #expect(await box.take(until: nil, on: loop).isEmpty)
    }

    @Test func theDeadlineEndsTheWait() async {
        let box = Mailbox<Int>()
        #expect(await box.take(until: .now() + .milliseconds(5), on: loop).isEmpty)
        box.put(7)
        #expect(await box.take(until: .now() + .milliseconds(5), on: loop) == [7])
    }

    /// The timer of an earlier wait is still set: one that ends sooner must not wait for it, one that ends later must not end with it.
    @Test func eachWaitHasItsOwnDeadline() async {
        let box = Mailbox<Int>()
        box.put(1)
        func wait(_ milliseconds: Int64, putting item: Int? = nil) async -> (items: [Int], took: TimeAmount) {
            let begin = NIODeadline.now()
            if let item { loop.scheduleTask(in: .milliseconds(1)) { box.put(item) } }
            return (await box.take(until: begin + .milliseconds(milliseconds), on: loop), .now() - begin)
        }
        #expect(await wait(1).items == [1])
        #expect(await wait(3_600_000, putting: 2).items == [2])
        #expect(await wait(20).items.isEmpty)
        #expect(await wait(20, putting: 3).items == [3])
        let last = await wait(200)
        #expect(last.items.isEmpty && last.took >= .milliseconds(200), "\(last)")
    }

    /// Items, deadlines and waits on several threads: nothing is lost, nothing hangs.
    @Test func nothingIsLostBetweenThreads() async {
        let box = Mailbox<Int>()
        let count = 20_000
        async let sum: Int = {
            var sum = 0, seen = 0
            while seen < count {
                let items = await box.take(until: .now() + .microseconds(50), on: loop)
                sum += items.reduce(0, +)
                seen += items.count
            }
            return sum
        }()
        for item in 0..<count {
            box.put(item)
            if item % 64 == 0 { await Task.yield() }
        }
        #expect(await sum == count * (count - 1) / 2)
    }
}

@Suite struct RelayTests {
    private let id = JobID("j"), first = WorkerID("w1"), second = WorkerID("w2")

    private func chunk(_ index: Int, tokens: [Int32]?) -> JobChunk {
        var resume: [UInt8]?
        if let tokens {
            var writer = JSONWriter()
            ResumeDelta(tokens: [tokens]).write(into: &writer)
            resume = writer.bytes
        }
        return JobChunk(index: index, form: .text, body: [UInt8(index)], resume: resume)
    }

    @Test func aSecondWorkerGoesOnWhereTheFirstStopped() {
        let relays = Relays()
        #expect(relays.take(id, first, attempt: 1, [chunk(0, tokens: [1])], isPlaced: true) == .elsewhere)
        let submitted = Timestamp(milliseconds: 5)
        relays.open(id, submittedAt: submitted)
        relays.begin(id, first, attempt: 1)
        let chunks = [chunk(0, tokens: [1]), chunk(1, tokens: [2, 3])]
        #expect(relays.take(id, first, attempt: 1, chunks, isPlaced: true) == .taken(fresh: chunks, firstFrom: submitted))
        // The post is repeated: its answer was lost.
        #expect(relays.take(id, first, attempt: 1, [chunk(1, tokens: [2, 3])], isPlaced: true) == .taken(fresh: []))
        // The client collects each once; what came through another gateway, and is in the store, joins in order.
        #expect(relays.collect(id).map(\.index) == [0, 1] && relays.collect(id).isEmpty)
        #expect(relays.canGoOn(id) && relays.resume(id)?.total.tokens == [[1, 2, 3]] && relays.resume(id)?.chunks == 2)
        relays.begin(id, second, attempt: 2)
        #expect(relays.take(id, first, attempt: 1, [chunk(2, tokens: [4])], isPlaced: true) == .fenced)
        #expect(relays.take(id, second, attempt: 2, [chunk(2, tokens: [4])], isPlaced: true) == .taken(fresh: [chunk(2, tokens: [4])]))
        #expect(relays.takeStored(id, [chunk(4, tokens: [6])]) == .taken(fresh: []))
        #expect(relays.takeStored(id, (1...3).map { chunk($0, tokens: [Int32($0)]) }) == .taken(fresh: [chunk(3, tokens: [3])]))
        #expect(relays.collect(id).map(\.index) == [2, 3] && relays.next(id) == 4)
    }

    @Test func aWorkerThatDoesNotSayItsTokensCannotBeFollowed() {
        let relays = Relays()
        relays.open(id)
        relays.begin(id, first, attempt: 1)
        #expect(relays.canGoOn(id))
        _ = relays.take(id, first, attempt: nil, [chunk(0, tokens: nil)], isPlaced: false)
        #expect(!relays.canGoOn(id) && relays.resume(id) == nil)
    }
}
