import ArgumentParser
import Engine
import JSON
import Progress

/// `needletail bench latency`.
struct BenchLatency: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "latency",
        abstract: "Time one batch of fixed size, again and again, in this process.",
        discussion: "Every iteration draws new random prompts, so that no cached prefix helps.")

    @Option(name: .shortAndLong, help: "Folder, .gguf file or hub id. Default: the default model.")
    var model: String?

    @Option(help: "Tokens of a prompt.")
    var inputLen = 32

    @Option(help: "Tokens of an answer.")
    var outputLen = 128

    @Option(help: "Prompts of the batch.")
    var batchSize = 8

    @Option(help: "Iterations before the measured ones.")
    var numItersWarmup = 3

    @Option(help: "Measured iterations.")
    var numIters = 10

    @Option(help: "Write the result as JSON to this file.")
    var outputJson: String?

    @OptionGroup(title: "Engine") var engine: EngineOptions

    @Flag(help: "Print nothing but the result.")
    var quiet = false

    private static let percentages: [Double] = [10, 25, 50, 75, 90, 99]

    func validate() throws {
        guard inputLen > 0, outputLen > 0, batchSize > 0 else { throw ValidationError("lengths and --batch-size must be above 0") }
        guard numIters > 0, numItersWarmup >= 0 else { throw ValidationError("--num-iters must be above 0") }
    }

    func run() async throws {
        var options = engine
        options.maxNumSeqs = max(options.maxNumSeqs, batchSize)
        options.maxNumBatchedTokens = max(options.maxNumBatchedTokens, options.maxNumSeqs)
        options.maxNumQueuedReqs = max(options.maxNumQueuedReqs, batchSize)
        options.maxNumQueuedTokens = nil
        var clock = StartClock()
        let progress = TerminalProgress(quiet: quiet)
        let session = try await ModelSession.open(model, options, progress: progress, clock: &clock)
        if !quiet { for line in session.lines { Terminal.error(line) } }
        var random = RandomPrompts()
        random.inputLength = inputLen
        random.outputLength = outputLen
        random.vocabulary = OfflineRun.vocabulary(session)

        let total = numItersWarmup + numIters
        progress.plan("iterations", total: total, unit: .items("iterations"))
        let item = progress.begin("iterations", total: total, unit: .items("iterations"))
        let wall = ContinuousClock()
        var latencies: [Double] = []
        for iteration in 0..<total {
            let seed = (engine.seed ?? 0) &+ UInt64(iteration)
            let requests = random.make(batchSize, seed: seed).map { OfflineRun.request($0, []) }
            let start = wall.now
            let outputs = try requests.map { try session.engine.submit($0) }
            for output in outputs { _ = try await OfflineRun.outputTokens(output) }
            if iteration >= numItersWarmup { latencies.append((wall.now - start) / .seconds(1)) }
            progress.advance(item, by: 1)
        }
        progress.finish(item, .done)
        progress.close()
        await session.engine.shutdown()
        try report(latencies)
    }

    private func report(_ latencies: [Double]) throws {
        let statistics = Statistics(latencies)
        Terminal.print("Avg latency: \(statistics.mean) seconds")
        var percentiles = JSONObject()
        for rank in Self.percentages {
            let value = statistics.percentile(rank)
            percentiles[ServeReport.word(rank)] = .double(value)
            Terminal.print("\(ServeReport.word(rank))% percentile latency: \(value) seconds")
        }
        guard let outputJson else { return }
        let json: JSONValue = [
            "avg_latency": .double(statistics.mean), "latencies": .array(latencies.map { .double($0) }), "percentiles": .object(percentiles),
        ]
        try TextFile.write(json.text + "\n", to: outputJson)
    }
}
