import ArgumentParser
import Server
import Engine
import JSON
import Progress
import Sampling
import Server

/// `needletail bench throughput`.
struct BenchThroughput: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "throughput",
        abstract: "Run many prompts at once in this process and print tokens per second.",
        discussion: "Prompts are random tokens, or those of --dataset-path. Answers have their full length: the end-of-text token is ignored.")

    @Option(name: .shortAndLong, help: "Folder, .gguf file or hub id. Default: the default model.")
    var model: String?

    @Option(help: "Prompts.")
    var numPrompts = 64

    @Option(help: "Tokens of a random prompt.")
    var inputLen = 256

    @Option(help: "Tokens of an answer. Default: 128, or what the data set says.")
    var outputLen: Int?

    @Option(help: "Draw lengths from length·(1 - ratio) to length·(1 + ratio); 0 up to below 1.")
    var randomRangeRatio = 0.0

    @Option(help: "Tokens that begin every random prompt.")
    var prefixLen = 0

    @Option(help: "File with prompts: lines of {\"prompt\", \"output_tokens\"} or ShareGPT's JSON.")
    var datasetPath: String?

    @Option(help: "Write the result as JSON to this file.")
    var outputJson: String?

    @OptionGroup(title: "Engine") var engine: EngineOptions

    @Flag(help: "Print nothing but the result.")
    var quiet = false

    func validate() throws {
        guard numPrompts > 0 else { throw ValidationError("--num-prompts must be above 0") }
        guard inputLen > 0, outputLen ?? 1 > 0, prefixLen >= 0 else { throw ValidationError("lengths must be above 0") }
        guard (0..<1).contains(randomRangeRatio) else { throw ValidationError("--random-range-ratio must be 0 up to below 1") }
    }

    func run() async throws {
        var options = engine
        options.maxNumQueuedReqs = max(options.maxNumQueuedReqs, numPrompts)
        options.maxNumQueuedTokens = nil
        var clock = StartClock()
        let progress = TerminalProgress(quiet: quiet)
        let session = try await ModelSession.open(model, options, progress: progress, clock: &clock)
        if !quiet { for line in session.lines { Terminal.error(line) } }
        let requests = try requests(session)

        progress.plan("prompts", total: requests.count, unit: .items("prompts"))
        let item = progress.begin("prompts", total: requests.count, unit: .items("prompts"))
        let wall = ContinuousClock(), start = wall.now
        let outputs = try requests.map { try session.engine.submit($0) }
        var outputTokens = 0
        // Each stream keeps its events until they are read, so one reader after the other is enough.
        for output in outputs {
            outputTokens += try await OfflineRun.outputTokens(output)
            progress.advance(item, by: 1)
        }
        let seconds = (wall.now - start) / .seconds(1)
        progress.finish(item, .done)
        progress.close()
        await session.engine.shutdown()
        try report(requests.count, promptTokens: requests.reduce(0) { $0 + $1.promptTokenIDs.count }, outputTokens, seconds)
    }

    private func requests(_ session: ModelSession) throws -> [EngineRequest] {
        let seed = engine.seed ?? 0
        guard let datasetPath else {
            var random = RandomPrompts()
            random.inputLength = inputLen
            random.outputLength = outputLen ?? 128
            random.rangeRatio = randomRangeRatio
            random.prefixLength = prefixLen
            random.vocabulary = OfflineRun.vocabulary(session)
            return random.make(numPrompts, seed: seed).map { OfflineRun.request($0, []) }
        }
        let prompts: [BenchPrompt]
        do {
            prompts = try PromptFile.prompts(try TextFile.read(datasetPath), outputLength: outputLen)
        } catch let error as BenchError {
            throw BenchError("\(datasetPath): \(error)")
        }
        return try PromptFile.choose(numPrompts, of: prompts, seed: seed, shuffles: true).map { prompt in
            guard case .text(let text) = prompt.content else { return OfflineRun.request(prompt, []) }
            return OfflineRun.request(prompt, try session.served.text.encode(text, addSpecialTokens: true))
        }
    }

    private func report(_ count: Int, promptTokens: Int, _ outputTokens: Int, _ seconds: Double) throws {
        let seconds = max(seconds, 1e-9), total = promptTokens + outputTokens
        func rate(_ amount: Int) -> String { Fixed.text(Double(amount) / seconds, 2) }
        Terminal.print("Throughput: \(rate(count)) requests/s, \(rate(total)) total tokens/s, \(rate(outputTokens)) output tokens/s")
        Terminal.print("Total num prompt tokens:  \(promptTokens)")
        Terminal.print("Total num output tokens:  \(outputTokens)")
        guard let outputJson else { return }
        let json: JSONValue = [
            "elapsed_time": .double(seconds), "num_requests": .int(count), "total_num_tokens": .int(total),
            "requests_per_second": .double(Double(count) / seconds), "tokens_per_second": .double(Double(total) / seconds),
        ]
        try TextFile.write(json.text + "\n", to: outputJson)
    }
}
