import Engine
import JSON
import Logging
import OpenAI
import Sampling
import Server
import StandInModel
import Synchronization
import Testing
import Worker
import WorkerProtocol

/// The worker against a gateway that does what the test says.
@Suite struct LoopTests {
    static let hello = FakeGenerator { _ in .tokens(FakeText.ids("Hello", " world", "!"), .length) }
    static let batch = ["X-Needletail-Batch": "1"]
    static let chat = "\"openai_route\":\"/v1/chat/completions\",\"openai_input\":{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true}"

    static func job(_ id: String, _ input: String, own: String = "\"attempt\":1") -> String {
        "{\"id\":\"\(id)\",\"input\":{\(input)},\"needletail\":{\(own)}}"
    }

    static func settings(_ gateway: StandInGateway) -> WorkerSettings {
        let base = "http://127.0.0.1:\(gateway.port)/v2/ep"
        let addresses = GatewayAddresses(
            take: "\(base)/job-take/$ID?gpu=0", done: "\(base)/job-done/$RUNPOD_POD_ID/$ID?gpu=0", stream: "\(base)/job-stream/$RUNPOD_POD_ID/$ID?gpu=0",
            ping: "\(base)/ping/$RUNPOD_POD_ID?gpu=0", worker: "w1")
        var settings = WorkerSettings(addresses: addresses, workerID: "w1")
        settings.key = "secret"
        settings.pingInterval = 30
        settings.coldStart = "{\"total\":12}"
        return settings
    }

    static func service(_ generator: FakeGenerator) -> LocalService {
        var defaults = GenerationDefaults()
        defaults.eosTokenIDs = [FakeText.eos]
        let model = ServedModel(
            names: ["fake"], root: "/models/fake", maxModelLength: generator.configuration.maxModelLength, defaults: defaults, text: FakeText(),
            generator: generator)
        return LocalService(model: model, options: ServerOptions())
    }

    /// Runs a worker until `body` is over; then it is told to stop.
    @discardableResult
    static func run(
        _ gateway: StandInGateway, on generator: FakeGenerator = hello, change: (inout WorkerSettings) -> Void = { _ in },
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws -> Worker.End {
        var settings = settings(gateway)
        change(&settings)
        var logger = Logger(label: "worker")
        logger.logLevel = .critical
        let worker = Worker(service: service(generator), settings: settings, logger: logger)
        let (stops, stop) = AsyncStream<Void>.makeStream()
        async let end = worker.run { for await _ in stops {} }
        defer { stop.finish() }
        try await body()
        stop.finish()
        return await end
    }

    // MARK: Batches

    @Test func partialOutputsGoInBatches() async throws {
        try await StandInGateway.run { gateway in
            gateway.onTake(.init(body: "[\(Self.job("a", Self.chat)),\(Self.job("b", "\"prompt\":\"x\""))]", headers: Self.batch))
            try await Self.run(gateway) {
                await gateway.waitForDone("a")
                await gateway.waitForDone("b")
            }
            let take = try #require(gateway.takes.first)
            #expect(take.path == "/v2/ep/job-take-batch/w1?gpu=0&batch_size=30&job_in_progress=0")
            #expect(take.headers["authorization"] == "secret")
            #expect(take.headers["x-needletail-cold-start"] == "{\"total\":12}")
            #expect(gateway.takes.dropFirst().allSatisfy { $0.headers["x-needletail-cold-start"] == nil })
            #expect(gateway.posts.allSatisfy { $0.path == "/v2/ep/job-stream-batch/w1?gpu=0" })
            let frames = gateway.frames
            let text = frames.filter { $0.job == "a" && $0.form == .text }
            #expect(text.map(\.index) == Array(0..<text.count))
            let stream = String(decoding: text.flatMap(\.body), as: UTF8.self)
            #expect(stream.contains("\"id\":\"chatcmpl-a\""))
            #expect(stream.hasSuffix("data: [DONE]\n\n"))
            var state = ResumeState()
            for frame in text { state.add(try #require(ResumeDelta(JSONValue(parsing: frame.resume ?? [])))) }
            #expect(state.total.tokens == [FakeText.ids("Hello", " world", "!")])
            #expect(state.total.finished == [0])
            #expect(state.total.created != nil)
            let done = frames.filter { $0.form == .done }
            #expect(done.map(\.job).sorted() == ["a", "b"])
            #expect(done.allSatisfy { String(decoding: $0.body, as: UTF8.self) == "{\"output\":[]}" && $0.attempt == 1 })
            let native = try #require(frames.first { $0.job == "b" && $0.form == .json })
            #expect(String(decoding: native.body, as: UTF8.self) == "{\"choices\":[{\"tokens\":[\"Hello world!\"]}],\"usage\":{\"input\":2,\"output\":3}}")
        }
    }

    @Test func refusedPostsAreRepeatedUnchanged() async throws {
        try await StandInGateway.run { gateway in
            gateway.onPost(.init(status: 503), .init(status: 429))
            gateway.onTake(.init(body: Self.job("a", Self.chat), headers: Self.batch))
            try await Self.run(gateway) { await gateway.wait { $0.filter { $0.method == "POST" }.count >= 3 } }
            let posts = gateway.posts
            #expect(posts[0].body == posts[1].body)
            #expect(posts[1].body == posts[2].body)
        }
    }

    @Test func onlyWhatIsRefusedSuffers() async throws {
        let generator = FakeGenerator { _ in .tokens(FakeText.ids("Hello", " world", "!"), .length) }
        try await StandInGateway.run { gateway in
            // Each post of more than one entry is refused, and each result as it was first.
            gateway.refusePosts { frames in frames.count > 1 || frames.contains { $0.form == .done && String(decoding: $0.body, as: UTF8.self).hasPrefix("{\"output") } }
            gateway.onTake(.init(body: "[\(Self.job("a", Self.chat)),\(Self.job("b", Self.chat))]", headers: Self.batch))
            try await Self.run(gateway, on: generator) {
                await gateway.waitForDone("a") { $0.contains("was refused with HTTP 413") }
                await gateway.waitForDone("b") { $0.contains("was refused with HTTP 413") }
            }
            let taken = gateway.posts.compactMap { try? ChunkBatch.frames($0.body) }.filter { $0.count == 1 }.flatMap { $0 }
            for job in ["a", "b"] { #expect(taken.contains { $0.job == job && $0.form == .text && $0.index == 0 }) }
        }
    }

    @Test func goneJobsAreStopped() async throws {
        let generator = FakeGenerator { _ in .hang(after: FakeText.ids("Hello")) }
        try await StandInGateway.run { gateway in
            gateway.onPost(.init(body: "{\"gone\":[\"a\"]}"))
            gateway.onTake(.init(body: Self.job("a", Self.chat), headers: Self.batch))
            try await Self.run(gateway, on: generator, change: { $0.concurrency = 1 }) {
                // The slot is free again: another take comes.
                await gateway.wait { $0.filter { $0.path.contains("/job-take") }.count >= 2 }
            }
            #expect(generator.log.withLock { $0.cancelled } == 1)
            #expect(!gateway.frames.contains { $0.form == .done })
        }
    }

    @Test func aHandOutThatComesTwiceIsRunOnce() async throws {
        let generator = FakeGenerator { _ in .hang(after: FakeText.ids("Hello")) }
        try await StandInGateway.run { gateway in
            let first = Self.job("a", Self.chat), next = Self.job("a", Self.chat, own: "\"attempt\":2")
            gateway.onTake(.init(body: first, headers: Self.batch), .init(body: first, headers: Self.batch))
            try await Self.run(gateway, on: generator) {
                await gateway.wait { $0.filter { $0.path.contains("/job-take") }.count >= 3 && $0.contains { $0.method == "POST" } }
                #expect(generator.log.withLock { $0.requests.count == 1 && $0.cancelled == 0 })
                // Handed out anew, it is run anew.
                gateway.onTake(.init(body: next, headers: Self.batch))
                await gateway.wait { $0.filter { $0.method == "POST" }.count >= 2 }
                #expect(generator.log.withLock { $0.requests.count == 2 && $0.cancelled == 1 })
                gateway.onStop(.init(body: "{\"jobsToStop\":[\"a\"]}"))
            }
            #expect(gateway.frames.map(\.attempt) == [1, 2])
        }
    }

    @Test func interruptedStreamsGoOn() async throws {
        let generator = FakeGenerator { request in .tokens(Array(FakeText.ids("Hello", " world", "!").dropFirst(request.outputTokensSoFar.count)), .length) }
        try await StandInGateway.run { gateway in
            let resume = "\"attempt\":2,\"resume\":{\"chunks\":2,\"total\":{\"tokens\":[[300,301]],\"created\":1234}}"
            gateway.onTake(.init(body: Self.job("a", Self.chat, own: resume), headers: Self.batch))
            try await Self.run(gateway, on: generator) { await gateway.waitForDone("a") }
            let text = gateway.frames.filter { $0.form == .text }
            #expect(text.first?.index == 2)
            #expect(text.first?.attempt == 2)
            let stream = String(decoding: text.flatMap(\.body), as: UTF8.self)
            #expect(stream.contains("\"content\":\"!\""))
            #expect(!stream.contains("Hello"))
            #expect(!stream.contains("\"role\""))
            #expect(stream.contains("\"created\":1234"))
            let request = try #require(generator.log.withLock { $0.requests.first })
            #expect(request.outputTokensSoFar == [300, 301])
            #expect(request.sampling.seed != nil)
        }
    }

    @Test func anotherModelDoesNotEndWhatOneBegan() async throws {
        let input = Self.chat
        @Sendable func own(_ model: String) -> String {
            "\"attempt\":2,\"resume\":{\"chunks\":1,\"total\":{\"tokens\":[[\(FakeText.ids("Hello")[0])]],\"created\":7,\"model\":\"\(model)\"}}"
        }
        try await StandInGateway.run { gateway in
            let jobs = [Self.job("new", input), Self.job("same", input, own: own("m1")), Self.job("other", input, own: own("m2"))]
            gateway.onTake(.init(body: "[\(jobs.joined(separator: ","))]", headers: Self.batch))
            try await Self.run(gateway, change: { $0.fingerprint = "m1" }) {
                for id in ["new", "same", "other"] { await gateway.waitForDone(id) }
            }
            // The first partial output of a reply names it, once.
            let named = gateway.frames.filter { $0.resume.map { String(decoding: $0, as: UTF8.self).contains("\"model\":\"m1\"") } == true }
            #expect(named.map(\.job) == ["new"] && named.map(\.index) == [0])
            let results = Dictionary(gateway.frames.filter { $0.form == .done }.map { ($0.job, String(decoding: $0.body, as: UTF8.self)) }) { $1 }
            #expect(results["same"] == "{\"output\":[]}")
            #expect(results["other"]?.contains("begun with another model") == true)
            #expect(!gateway.frames.contains { $0.job == "other" && $0.form == .text })
        }
    }

    // MARK: Single posts

    @Test func gatewaysWithoutBatchesGetStandardPosts() async throws {
        try await StandInGateway.run { gateway in
            gateway.onTake(.init(body: Self.job("a", "\"prompt\":\"x\",\"stream\":true,\"max_batch_size\":1")))
            try await Self.run(gateway, change: { $0.concurrency = 1 }) { await gateway.waitForDone("a") }
            #expect(gateway.takes[0].path == "/v2/ep/job-take/w1?gpu=0&job_in_progress=0")
            let chunks = gateway.posts.filter { $0.path == "/v2/ep/job-stream/w1/a?gpu=0&isStream=false" }
            let texts = try chunks.flatMap { try JSONValue(parsing: $0.body)["output"]?["choices"]?.array?[0]["tokens"]?.array ?? [] }
            #expect(texts == ["Hello", " world", "!"])
            let done = try #require(gateway.posts.last)
            #expect(done.path == "/v2/ep/job-done/w1/a?gpu=0&isStream=true")
            let output = try JSONValue(parsing: done.body)["output"]?.array ?? []
            #expect(output.count == chunks.count)
            #expect(output.last?["usage"]?["output"] == 3)
        }
    }

    @Test func wholeRepliesAreListsOfOne() async throws {
        try await StandInGateway.run { gateway in
            gateway.onTake(.init(body: Self.job("a", "\"openai_route\":\"/v1/models\",\"openai_input\":null")))
            try await Self.run(gateway) { await gateway.waitForDone("a") }
            let done = try #require(gateway.posts.last)
            let output = try JSONValue(parsing: done.body)["output"]?.array
            #expect(output?.count == 1)
            #expect(output?[0]["data"]?.array?[0]["id"] == "fake")
        }
    }

    @Test func resultsAreTriedAgain() async throws {
        try await StandInGateway.run { gateway in
            gateway.onPost(.init(), .init(status: 503), .init(status: 503))
            gateway.onTake(.init(body: Self.job("a", "\"prompt\":\"x\"")))
            try await Self.run(gateway) { await gateway.wait { $0.filter { $0.path.contains("/job-done/") }.count == 3 } }
            #expect(gateway.posts.filter { $0.path.contains("/job-done/") }.count == 3)
        }
    }

    @Test func refusedResultsAreSaidToBeRefused() async throws {
        try await StandInGateway.run { gateway in
            // The only chunk, and the result.
            gateway.onPost(.init(status: 400), .init(status: 413))
            gateway.onTake(.init(body: Self.job("a", "\"prompt\":\"x\"")))
            try await Self.run(gateway) { await gateway.wait { $0.filter { $0.path.contains("/job-done/") }.count == 2 } }
            let results = gateway.posts.filter { $0.path.contains("/job-done/") }.map(\.text)
            // What was refused as a chunk is in the result.
            #expect(results[0].contains(" world"))
            #expect(results[1] == "{\"error\":\"the result of \(results[0].utf8.count) bytes was refused with HTTP 413\"}")
        }
    }

    @Test func refusedChunksStopTheirJob() async throws {
        let generator = FakeGenerator { _ in .hang(after: FakeText.ids("Hello")) }
        try await StandInGateway.run { gateway in
            gateway.onPost(.init(status: 404))
            gateway.onTake(.init(body: Self.job("a", "\"prompt\":\"x\",\"stream\":true")))
            try await Self.run(gateway, on: generator, change: { $0.concurrency = 1 }) {
                await gateway.wait { $0.filter { $0.path.contains("/job-take") }.count >= 2 }
            }
            #expect(generator.log.withLock { $0.cancelled } == 1)
            #expect(!gateway.posts.contains { $0.path.contains("/job-done/") })
        }
    }

    @Test func resultsThatAreTooLargeSaySo() async throws {
        try await StandInGateway.run { gateway in
            gateway.onTake(.init(body: Self.job("a", "\"openai_route\":\"/v1/models\"")), .init(body: Self.job("b", "\"prompt\":\"x\"")))
            try await Self.run(gateway, change: { $0.mostResultBytes = 20 }) {
                await gateway.waitForDone("a")
                await gateway.waitForDone("b")
            }
            for done in gateway.posts.filter({ $0.path.contains("/job-done/") }) {
                #expect(done.text == "{\"error\":\"the result is larger than 20 bytes, the most that a result may hold\"}")
            }
        }
    }

    @Test func errorsOfTheAPIAreItsObjects() async throws {
        try await StandInGateway.run { gateway in
            let input = "\"openai_route\":\"/v1/completions\",\"openai_input\":{\"prompt\":\"x\",\"top_p\":7}"
            gateway.onTake(.init(body: Self.job("a", input)), .init(body: Self.job("b", "\"openai_route\":\"/v1/nothing\"")))
            try await Self.run(gateway) {
                await gateway.waitForDone("a")
                await gateway.waitForDone("b")
            }
            for (job, code) in [("a", 400), ("b", 404)] {
                let done = try #require(gateway.posts.first { $0.path.contains("/job-done/w1/\(job)?") })
                let error = try JSONValue(parsing: try #require(try JSONValue(parsing: done.body)["error"]?.string))
                #expect(error["code"]?.int == code)
                #expect(error["message"]?.string?.isEmpty == false)
                #expect(error["type"]?.string?.isEmpty == false)
                #expect(error.object?.members.contains { $0.key == "param" } == true)
            }
        }
    }

    // MARK: Takes, stops, pings

    @Test func emptyAnswersAreNoBusyLoop() async throws {
        try await StandInGateway.run { gateway in
            gateway.onTake(.init(status: 204), .init(status: 400), .init(body: "{}"), .init(status: 500), .init(status: 429, headers: ["Retry-After": "0.2"]))
            gateway.onTake(.init(body: Self.job("a", "\"prompt\":\"x\"")))
            try await Self.run(gateway) { await gateway.waitForDone("a") }
            let moments = gateway.takes.prefix(6).map(\.moment)
            #expect(moments.count == 6)
            let pauses = zip(moments, moments.dropFirst()).map { $1 - $0 }
            // The pauses are the worker's; a request that is late on a busy machine shortens the one after it, not their sum.
            #expect(pauses.reduce(.zero, +) >= .milliseconds(4 * 90 + 350))
            #expect(pauses[3] >= .milliseconds(300))
        }
    }

    @Test func stoppedJobsFreeTheirPlaceAndSayNothing() async throws {
        let generator = FakeGenerator { $0.promptTokenIDs.count > 3 ? .hang(after: FakeText.ids("Hello")) : .tokens(FakeText.ids("!"), .length) }
        try await StandInGateway.run { gateway in
            gateway.onTake(.init(body: Self.job("long", "\"prompt\":\"longer\",\"stream\":true")))
            try await Self.run(gateway, on: generator, change: { $0.concurrency = 1 }) {
                await gateway.wait { $0.contains { $0.path.contains("/job-stream/w1/long") } }
                gateway.onTake(.init(body: Self.job("next", "\"prompt\":\"x\"")))
                gateway.onStop(.init(body: "{\"jobsToStop\":[\"long\",\"unknown\"]}"))
                await gateway.waitForDone("next")
            }
            #expect(generator.log.withLock { $0.cancelled } == 1)
            #expect(!gateway.posts.contains { $0.path.contains("/job-done/w1/long") })
        }
    }

    @Test func pingsNameTheJobs() async throws {
        let generator = FakeGenerator { _ in .hang(after: []) }
        try await StandInGateway.run { gateway in
            gateway.onTake(.init(body: "[\(Self.job("a", "\"prompt\":\"x\"")),\(Self.job("b", "\"prompt\":\"x\""))]"))
            try await Self.run(gateway, on: generator, change: { ($0.pingInterval, $0.stopGrace) = (0.1, 0.1) }) {
                await gateway.wait { $0.contains { $0.path.contains("/ping/w1?gpu=0&job_id=a,b&runpod_version=1.12.0") } }
            }
            #expect(gateway.pings.first?.path == "/v2/ep/ping/w1?gpu=0&runpod_version=1.12.0")
        }
    }

    // MARK: The end

    @Test func runningJobsFinishBeforeTheEnd() async throws {
        let gate = Gate()
        let generator = FakeGenerator { _ in .hang(after: FakeText.ids("Hello")) }
        try await StandInGateway.run { gateway in
            gateway.onTake(.init(body: Self.job("a", "\"prompt\":\"x\",\"stream\":true"), headers: Self.batch))
            async let end = Self.run(gateway, on: generator, change: { $0.stopGrace = 60 }) {
                await gateway.wait { $0.contains { $0.method == "POST" } }
                gate.open()
            }
            await gate.wait()
            // The worker is being stopped while the job runs; the engine ends it now.
            generator.cancelAll()
            let result = try await end
            #expect(result == .stopped)
            #expect(gateway.frames.contains { $0.job == "a" && $0.form == .done })
        }
    }

    @Test func jobsThatDoNotFinishAreGivenBack() async throws {
        let generator = FakeGenerator { _ in .hang(after: FakeText.ids("Hello")) }
        try await StandInGateway.run { gateway in
            gateway.onTake(.init(body: Self.job("a", Self.chat), headers: Self.batch))
            let end = try await Self.run(gateway, on: generator, change: { $0.stopGrace = 0.1 }) {
                await gateway.wait { $0.contains { $0.method == "POST" } }
            }
            #expect(end == .stopped)
            #expect(!gateway.frames.contains { $0.form == .done })
            #expect(gateway.frames.last.map { $0.form == .back && $0.job == "a" && $0.attempt == 1 && $0.body.isEmpty } == true)
            #expect(generator.log.withLock { $0.cancelled } == 1)
        }
    }

    @Test func aWorkerThatEndsTakesItsLastAnswer() async throws {
        try await StandInGateway.run { gateway in
            gateway.onTake(.init(body: Self.job("a", Self.chat), headers: Self.batch))
            gateway.onLeave(.init(body: Self.job("b", Self.chat), headers: Self.batch))
            try await Self.run(gateway) { await gateway.waitForDone("a") }
            // Handed out while the worker was being told to stop.
            #expect(gateway.frames.contains { $0.job == "b" && $0.form == .done })
        }
    }

    @Test func jobsCanBeStoppedWhileOthersFinish() async throws {
        let gate = Gate()
        let generator = FakeGenerator { _ in .hang(after: FakeText.ids("Hello")) }
        try await StandInGateway.run { gateway in
            gateway.onTake(.init(body: Self.job("a", Self.chat), headers: Self.batch))
            async let end = Self.run(gateway, on: generator, change: { $0.stopGrace = 60 }) {
                await gateway.wait { $0.contains { $0.method == "POST" } }
                gate.open()
            }
            await gate.wait()
            await gateway.wait { $0.contains { $0.path.contains("status=leaving") } }
            gateway.onStop(.init(body: "{\"jobsToStop\":[\"a\"]}"))
            let result = try await end
            #expect(result == .stopped)
            #expect(!gateway.frames.contains { $0.form == .done || $0.form == .back })
        }
    }

    @Test func aLostGatewayEndsAnIdleWorker() async throws {
        try await StandInGateway.run { gateway in
            var settings = Self.settings(gateway)
            // Nobody listens on port 1.
            settings.addresses = GatewayAddresses(
                take: "http://127.0.0.1:1/v2/ep/job-take/$ID?gpu=0", done: "http://127.0.0.1:1/d", stream: "http://127.0.0.1:1/s", ping: nil, worker: "w1")
            settings.gatewayLostTimeout = 0.3
            var logger = Logger(label: "worker")
            logger.logLevel = .critical
            let end = await Worker(service: Self.service(Self.hello), settings: settings, logger: logger).run {
                let (never, _) = AsyncStream<Void>.makeStream()
                for await _ in never {}
            }
            guard case .failed(let check, _) = end else {
                Issue.record("it ended as \(end)")
                return
            }
            #expect(check == "gateway")
        }
    }
}

/// Opens once.
final class Gate: Sendable {
    private let stream: AsyncStream<Void>
    private let source: AsyncStream<Void>.Continuation

    init() { (stream, source) = AsyncStream<Void>.makeStream() }

    func open() { source.finish() }
    func wait() async { for await _ in stream {} }
}
