import Engine
import JSON
import Logging
import Sampling
import Server
import StandInModel
import Synchronization
import Testing
import Worker

/// Native input and output, as the documentation of Runpod's worker has them.
@Suite struct NativeTests {
    static func outcome(
        _ input: String, _ generator: FakeGenerator = LoopTests.hello, change: (inout WorkerSettings) -> Void = { _ in }
    ) async throws -> JSONValue {
        let addresses = GatewayAddresses(take: "", done: "", stream: "", ping: nil, worker: "w")
        var settings = WorkerSettings(addresses: addresses, workerID: "w")
        change(&settings)
        var logger = Logger(label: "worker")
        logger.logLevel = .critical
        let job = try JSONValue(parsing: "{\"id\":\"j\",\"input\":\(input)}")
        let outcome = await Worker.runOnce(job, service: LoopTests.service(generator), settings: settings, logger: logger)
        return try JSONValue(parsing: outcome.json)
    }

    @Test func wholeTexts() async throws {
        let expected = try JSONValue(parsing: "{\"output\":[{\"choices\":[{\"tokens\":[\"Hello world!\"]}],\"usage\":{\"input\":2,\"output\":3}}]}")
        #expect(try await Self.outcome("{\"prompt\":\"x\"}") == expected)
        let chat = try await Self.outcome("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"prompt\":\"ignored\"}")
        #expect(chat["output"]?.array?[0]["choices"] == expected["output"]?.array?[0]["choices"])
        // <user>x<assistant>
        #expect(chat["output"]?.array?[0]["usage"]?["input"]?.int == 19)
        let applied = try await Self.outcome("{\"prompt\":\"hi\",\"apply_chat_template\":true}")
        #expect(applied["output"]?.array?[0]["usage"]?["input"]?.int == 19)
    }

    @Test func severalChoices() async throws {
        let reply = try await Self.outcome("{\"prompt\":\"x\",\"sampling_params\":{\"n\":2}}")
        let choices = reply["output"]?.array?[0]["choices"]?.array ?? []
        #expect(choices.map { $0["tokens"] } == [["Hello world!"], ["Hello world!"]])
        #expect(reply["output"]?.array?[0]["usage"]?["output"] == 6)
    }

    @Test(arguments: [
        ("", 100, [1, 3, 9, 27, 50, 10]), (",\"min_batch_size\":2,\"batch_size_growth_factor\":2,\"max_batch_size\":8", 30, [2, 4, 8, 8, 8]),
        (",\"max_batch_size\":1", 3, [1, 1, 1]), (",\"batch_size_growth_factor\":1,\"max_batch_size\":4", 10, [4, 4, 2]),
        (",\"max_batch_size\":0,\"min_batch_size\":null", 5, [1, 3, 1]),
    ])
    func sizesOfPartialOutputs(_ extra: String, _ count: Int, _ sizes: [Int]) async throws {
        let generator = FakeGenerator { _ in .tokens(Array(repeating: FakeText.ids("!")[0], count: count), .length) }
        let reply = try await Self.outcome("{\"prompt\":\"x\",\"stream\":true,\"sampling_params\":{\"max_tokens\":200}\(extra)}", generator)
        let partials = reply["output"]?.array ?? []
        #expect(partials.map { $0["choices"]?.array?[0]["tokens"]?.array?.count } == sizes)
        var sum = 0
        #expect(partials.map { $0["usage"]?["output"]?.int } == sizes.map { sum += $0; return sum })
    }

    @Test func charactersInPartsComeWhole() async throws {
        let generator = FakeGenerator { _ in .tokens("é!".utf8.map { Int32($0) }, .length) }
        let reply = try await Self.outcome("{\"prompt\":\"x\",\"stream\":true,\"max_batch_size\":1}", generator)
        let texts = (reply["output"]?.array ?? []).map { $0["choices"]?.array?[0]["tokens"]?.array?[0].string }
        #expect(texts == ["", "é", "!"])
    }

    @Test func lengthsHaveADefault() async throws {
        let generator = FakeGenerator { _ in .tokens(FakeText.ids("!"), .length) }
        _ = try await Self.outcome("{\"prompt\":\"x\"}", generator)
        _ = try await Self.outcome("{\"prompt\":\"x\",\"sampling_params\":{\"max_tokens\":7}}", generator)
        #expect(generator.log.withLock { $0.requests.map(\.sampling.maxTokens) } == [100, 7])
    }

    @Test(arguments: [
        ("{\"prompt\":\"x\",\"sampling_params\":{\"beep\":1}}", "'beep'"), ("{\"prompt\":\"x\",\"sampling_params\":{\"use_beam_search\":true}}", "beam search"),
        ("{\"prompt\":7}", "prompt must be a string"), ("{\"nothing\":7}", "Job input must contain one of"), ("[]", "must be an object"),
        ("{\"prompt\":\"x\",\"sampling_params\":{\"top_p\":3}}", "top_p"), ("{\"prompt\":\"x\",\"stream\":\"yes\"}", "stream"),
        ("{\"prompt\":\"x\",\"max_batch_size\":-1}", "max_batch_size"), ("{\"openai_input\":[1]}", "openai_input"),
    ])
    func refusalsSayWhy(_ input: String, _ part: String) async throws {
        let reply = try await Self.outcome(input)
        #expect(reply["output"] == nil)
        #expect(reply["error"]?.string?.contains(part) == true, "\(reply.text)")
    }

    @Test func neutralBeamOptionsAreTaken() async throws {
        let reply = try await Self.outcome(
            "{\"prompt\":\"x\",\"sampling_params\":{\"use_beam_search\":false,\"length_penalty\":1,\"early_stopping\":false,\"best_of\":1,\"top_k\":-1,\"stop\":null}}")
        #expect(reply["error"] == nil, "\(reply.text)")
    }

    // MARK: The second generation

    @Test func openAIShape() async throws {
        let reply = try await Self.outcome("{\"prompt\":\"x\",\"sampling_params\":{\"max_tokens\":3}}") { $0.nativeShape = .openai }
        #expect(reply["output"]?.array?[0]["choices"]?.array?[0]["text"] == "Hello world!")
        let stream = try await Self.outcome("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true}") { $0.nativeShape = .openai }
        let text = (stream["output"]?.array ?? []).compactMap(\.string).joined()
        #expect(text.hasSuffix("data: [DONE]\n\n"))
    }

    @Test(arguments: [
        "{\"openai_input\":{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}}", "{\"openai_route\":\"/v1/models\"}",
        "{\"openai_route\":\"/v1/models\",\"openai_input\":{}}", "{\"route\":\"/v1/models\"}", "{\"route\":\"/tokenize\",\"body\":{\"prompt\":\"x\"}}",
        "{\"route\":\"v1/completions\",\"method\":\"post\",\"body\":{\"prompt\":\"x\"}}", "{\"openai_route\":\"/openai/v1/models\"}",
    ])
    func formsOfInput(_ input: String) async throws {
        let reply = try await Self.outcome(input)
        #expect(reply["output"]?.array?.count == 1, "\(reply.text)")
    }

    @Test func listsOfObjects() async throws {
        let reply = try await Self.outcome("{\(LoopTests.chat)}") { $0.rawOpenAIOutput = false }
        let chunks = (reply["output"]?.array ?? []).flatMap { $0.array ?? [] }
        #expect(!chunks.isEmpty)
        #expect(chunks.allSatisfy { $0["object"] == "chat.completion.chunk" })
        #expect(chunks.compactMap { $0["choices"]?.array?.first?["delta"]?["content"]?.string }.joined() == "Hello world!")
    }
}

@Suite struct TokenBatchingTests {
    static func sizes(_ batching: TokenBatching, _ updates: Int, after passed: Int = 0) -> [Int] {
        var meter = TokenBatching.Meter(batching)
        meter.pass(passed)
        var sizes: [Int] = [], count = 0
        for _ in 0..<updates {
            count += 1
            if meter.count() {
                sizes.append(count)
                count = 0
            }
        }
        return count > 0 ? sizes + [count] : sizes
    }

    @Test func vectors() {
        #expect(Self.sizes(TokenBatching(), 100) == [1, 3, 9, 27, 50, 10])
        #expect(Self.sizes(TokenBatching(first: 2, most: 8, growth: 2), 30) == [2, 4, 8, 8, 8])
        #expect(Self.sizes(TokenBatching(first: 1, most: 4, growth: 1), 10) == [4, 4, 2])
        #expect(Self.sizes(TokenBatching(first: 8, most: 4, growth: 3), 9) == [4, 4, 1])
    }

    @Test func goesOnWhereItWas() {
        #expect(Self.sizes(TokenBatching(), 96, after: 4) == [9, 27, 50, 10])
        #expect(Self.sizes(TokenBatching(), 87, after: 13) == [27, 50, 10])
    }
}

@Suite struct AddressTests {
    let addresses = GatewayAddresses(
        take: "http://g/v2/e/job-take/$ID?gpu=A+B", done: "http://g/v2/e/job-done/$RUNPOD_POD_ID/$ID?gpu=A", stream: "http://g/v2/e/job-stream/$RUNPOD_POD_ID/$ID?gpu=A",
        ping: "http://g/v2/e/ping/$RUNPOD_POD_ID?gpu=A", worker: "w-1")

    @Test func placeholders() {
        #expect(addresses.take(1, hasJobs: false) == "http://g/v2/e/job-take/w-1?gpu=A+B&job_in_progress=0")
        #expect(addresses.take(4, hasJobs: true) == "http://g/v2/e/job-take-batch/w-1?gpu=A+B&batch_size=4&job_in_progress=1")
        #expect(addresses.stop == "http://g/v2/e/job-stop/w-1?gpu=A+B")
        #expect(addresses.done("j 1", isStream: true) == "http://g/v2/e/job-done/w-1/j%201?gpu=A&isStream=true")
        #expect(addresses.stream("j") == "http://g/v2/e/job-stream/w-1/j?gpu=A&isStream=false")
        #expect(addresses.streamBatch == "http://g/v2/e/job-stream-batch/w-1?gpu=A")
        #expect(addresses.streamBatches == "http://g/v2/e/job-stream-batches/w-1?gpu=A")
        #expect(addresses.ping([("job_id", "a,b"), ("reason", "x y")]) == "http://g/v2/e/ping/w-1?gpu=A&job_id=a,b&reason=x%20y")
    }

    @Test func otherForms() {
        let odd = GatewayAddresses(take: "http://g/take/$ID/$RUNPOD_POD_ID", done: "http://g/d/$ID", stream: "http://g/s/$ID", ping: nil, worker: "w")
        #expect(odd.take(3, hasJobs: false) == "http://g/take/w/$RUNPOD_POD_ID?job_in_progress=0")
        #expect(odd.stop == nil)
        #expect(odd.ping([]) == nil)
    }
}
