import Gateway
import Jobs
import Logging
import NIOHTTP1
import Synchronization
import Testing

@Suite struct WebhookSenderTests {
    /// An outbox as a store keeps it, with leases; tells when a delivery is settled for good.
    private final class Box: Sendable {
        struct Row { var delivery: WebhookDelivery, due: Timestamp }
        private let rows = Mutex<[JobID: Row]>([:])
        let settled: AsyncStream<(id: JobID, tries: Int, next: Timestamp?)>
        private let continuation: AsyncStream<(id: JobID, tries: Int, next: Timestamp?)>.Continuation

        init() { (settled, continuation) = AsyncStream.makeStream() }

        func add(_ id: String, _ url: String) {
            rows.withLock { $0[JobID(id)] = Row(delivery: WebhookDelivery(job: JobID(id), url: url, tries: 0), due: .now) }
        }

        var ids: [String] { rows.withLock { $0.keys.map(\.text).sorted() } }
        /// Leases end, as they do in time.
        func expireLeases() { rows.withLock { rows in for id in rows.keys { rows[id]?.due = .now } } }

        var outbox: WebhookSender.Outbox {
            .init(
                due: { [self] now, limit, lease in
                    rows.withLock { rows in
                        let due = rows.values.filter { $0.due <= now }.prefix(limit).map(\.delivery)
                        for delivery in due { rows[delivery.job]?.due = now + lease }
                        return due
                    }
                },
                settle: { [self] id, tries, next in
                    rows.withLock { rows in
                        if let next {
                            rows[id]?.delivery.tries = tries
                            rows[id]?.due = next
                        } else {
                            rows[id] = nil
                        }
                    }
                    continuation.yield((id, tries, next))
                })
        }
    }

    private func settings() -> WebhookSettings {
        var settings = WebhookSettings()
        settings.secondsBetweenTries = 0
        settings.pollInterval = .milliseconds(20)
        return settings
    }

    private func sender(
        _ box: Box, _ settings: WebhookSettings, results: ResultList, allowsPrivate: Bool = true
    ) -> WebhookSender {
        WebhookSender(
            box.outbox, WebhookConnections(resolver: .system()), settings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            onResult: { result in results.add(result) }
        ) { id in
            id.text == "gone" ? nil : WebhookContent(body: Array(#"{"id":"\#(id)"}"#.utf8), allowsPrivate: allowsPrivate)
        }
    }

    @Test func deliversOnce() async throws {
        let receiver = try await WebhookReceiver { _ in .init(status: 204) }
        let box = Box()
        let results = ResultList()
        let sender = sender(box, settings(), results: results)
        let run = Task { await sender.run() }
        box.add("job-1", "http://127.0.0.1:\(receiver.port)/hook")
        sender.nudge()
        let first = try #require(await box.settled.first { _ in true })
        #expect(first.id == JobID("job-1") && first.tries == 1 && first.next == nil)
        run.cancel()
        await run.value
        let post = try #require(receiver.posts.first)
        #expect(receiver.posts.count == 1 && box.ids.isEmpty)
        #expect(post.body == Array(#"{"id":"job-1"}"#.utf8))
        #expect(post.headers["content-type"] == ["application/json"] && post.headers["user-agent"] == ["needletail-gateway"])
        #expect(results.all == [.delivered])
        try await receiver.close()
    }

    @Test func triesThreeTimesThenGivesUp() async throws {
        let receiver = try await WebhookReceiver { _ in .init(status: 500) }
        let box = Box()
        let results = ResultList()
        let sender = sender(box, settings(), results: results)
        let run = Task { await sender.run() }
        box.add("job-1", "http://127.0.0.1:\(receiver.port)/")
        var tries: [Int] = []
        for await settled in box.settled {
            tries.append(settled.tries)
            if settled.next == nil { break }
        }
        run.cancel()
        await run.value
        #expect(tries == [1, 2, 3] && receiver.posts.count == 3)
        #expect(results.all == [.retried, .retried, .givenUp])
        try await receiver.close()
    }

    @Test func secondTrySucceeds() async throws {
        let receiver = try await WebhookReceiver { number in .init(status: number == 0 ? 503 : 200) }
        let box = Box()
        let results = ResultList()
        let sender = sender(box, settings(), results: results)
        let run = Task { await sender.run() }
        box.add("job-1", "http://127.0.0.1:\(receiver.port)/")
        for await settled in box.settled where settled.next == nil { break }
        run.cancel()
        await run.value
        #expect(results.all == [.retried, .delivered])
        try await receiver.close()
    }

    @Test func nextTryIsTenSecondsLater() async throws {
        let receiver = try await WebhookReceiver { _ in .init(status: 500) }
        let box = Box()
        var settings = WebhookSettings()
        settings.pollInterval = .milliseconds(20)
        #expect(settings.secondsBetweenTries == 10 && settings.mostTries == 3 && settings.timeoutSeconds == 10)
        let sender = sender(box, settings, results: ResultList())
        let run = Task { await sender.run() }
        let start = Timestamp.now
        box.add("job-1", "http://127.0.0.1:\(receiver.port)/")
        let first = try #require(await box.settled.first { _ in true })
        // From the end of the try on, which was somewhere between the start and now.
        let next = try #require(first.next)
        #expect(next - start >= 10_000 && next - .now <= 10_000)
        run.cancel()
        await run.value
        try await receiver.close()
    }

    @Test func refusedTargetsAndGoneJobsAreNotTriedAgain() async throws {
        let receiver = try await WebhookReceiver()
        let box = Box()
        let results = ResultList()
        box.add("private", "http://127.0.0.1:\(receiver.port)/")
        box.add("named", "http://localhost:\(receiver.port)/")
        box.add("odd", "gopher://example.com/")
        box.add("gone", "http://example.com/")
        let sender = sender(box, settings(), results: results, allowsPrivate: false)
        let run = Task { await sender.run() }
        var left = 4
        for await settled in box.settled {
            #expect(settled.next == nil)
            left -= 1
            if left == 0 { break }
        }
        run.cancel()
        await run.value
        #expect(results.all.map(\.rawValue).sorted() == ["dropped", "refused", "refused", "refused"])
        #expect(receiver.connectionCount == 0)
        try await receiver.close()
    }

    @Test func aJobThatCannotBeReadIsSentLater() async throws {
        let receiver = try await WebhookReceiver()
        let box = Box()
        let results = ResultList()
        let (reads, read) = AsyncStream.makeStream(of: Int.self)
        let count = Mutex(0)
        let sender = WebhookSender(
            box.outbox, WebhookConnections(resolver: .system()), settings(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            onResult: { results.add($0) }
        ) { _ in
            let number = count.withLock { count in
                count += 1
                return count
            }
            read.yield(number)
            if number == 1 { throw StoreError.unavailable("for a moment") }
            return WebhookContent(body: [], allowsPrivate: true)
        }
        box.add("job-1", "http://127.0.0.1:\(receiver.port)/")
        let run = Task { await sender.run() }
        for await _ in reads { break }
        box.expireLeases()
        let settled = try #require(await box.settled.first { _ in true })
        run.cancel()
        await run.value
        // The failed reading was no try, and nothing was settled by it.
        #expect(settled.tries == 1 && settled.next == nil && receiver.posts.count == 1)
        #expect(results.all == [.delivered])
        try await receiver.close()
    }

    @Test func deliverySurvivesTheSendersEnd() async throws {
        let receiver = try await WebhookReceiver { number in .init(hangs: number == 0) }
        let box = Box()
        let results = ResultList()
        box.add("job-1", "http://127.0.0.1:\(receiver.port)/")
        let first = sender(box, settings(), results: results)
        let firstRun = Task { await first.run() }
        // The post is under way when its gateway ends.
        _ = await receiver.arrivals.first { _ in true }
        firstRun.cancel()
        await firstRun.value
        #expect(box.ids == ["job-1"])
        #expect(results.all.isEmpty)
        box.expireLeases()
        let second = sender(box, settings(), results: results)
        let secondRun = Task { await second.run() }
        let settled = try #require(await box.settled.first { _ in true })
        #expect(settled.tries == 1 && settled.next == nil)
        secondRun.cancel()
        await secondRun.value
        #expect(results.all == [.delivered])
        try await receiver.close()
    }

    @Test func hangingReceiverDoesNotHoldUpOthers() async throws {
        let dead = try await WebhookReceiver { _ in .init(hangs: true) }
        let alive = try await WebhookReceiver()
        let box = Box()
        let results = ResultList()
        var settings = settings()
        settings.concurrent = 4
        settings.concurrentPerHost = 2
        settings.secondsBetweenTries = 1
        for index in 0..<20 { box.add("dead-\(index)", "http://127.0.0.1:\(dead.port)/") }
        let sender = sender(box, settings, results: results)
        let run = Task { await sender.run() }
        var arrivals = dead.arrivals.makeAsyncIterator()
        for _ in 0..<2 { _ = await arrivals.next() }
        for index in 0..<20 { box.add("alive-\(index)", "http://localhost:\(alive.port)/") }
        sender.nudge()
        var left = 20
        for await settled in box.settled where settled.next == nil {
            #expect(settled.id.text.hasPrefix("alive-"))
            left -= 1
            if left == 0 { break }
        }
        #expect(dead.posts.count == 2)
        run.cancel()
        await run.value
        try await dead.close()
        try await alive.close()
    }
}

/// A list that several tasks add to.
final class ResultList: Sendable {
    private let list = Mutex<[WebhookResult]>([])
    func add(_ result: WebhookResult) { list.withLock { $0.append(result) } }
    var all: [WebhookResult] { list.withLock { $0 } }
}
