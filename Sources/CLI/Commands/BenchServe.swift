import ArgumentParser
import AsyncHTTPClient
import JSON
import Progress

/// `needletail bench serve`.
struct BenchServe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Put load on an OpenAI-compatible server and time its streamed answers.",
        discussion: """
            Random prompts for completions are token ids (exact lengths, no tokenizer needed); for chat, or with --text-prompts, they are \
            common English words of about a token each. Token counts of the result are the server's (usage), else chunks are counted.
            Times are taken from the outside: TTFT up to the first chunk with text, ITL between chunks, TPOT over the tokens after the first.
            """)

    @Option(name: [.customLong("base-url"), .customLong("url")], help: "Server, such as http://127.0.0.1:8000.")
    var baseURL: String?

    @Option(help: "Host, without --base-url.")
    var host = "127.0.0.1"

    @Option(help: "Port, without --base-url.")
    var port = 8000

    @Option(help: "completions, chat, or a path such as /v1/chat/completions.")
    var endpoint = "completions"

    @Option(name: .shortAndLong, help: "Model to ask for. Default: the first that the server lists.")
    var model: String?

    @Option(help: "Key to send.")
    var apiKey: String?

    @OptionGroup(title: "Prompts") var prompts: PromptFlags
    @OptionGroup(title: "Load") var load: LoadFlags
    @OptionGroup(title: "Result") var result: ResultFlags

    func run() async throws {
        let base = baseURL ?? "http://\(host.contains(":") ? "[\(host)]" : host):\(port)"
        let (url, route) = try LoadTarget.address(base: base, endpoint: endpoint)
        let goodput = try Goodput(result.goodput)
        let extra = try load.extraFields()
        let list = try prompts.make(route)
        let limit = min(load.maxConcurrency ?? .max, load.maxConnections)
        OpenFiles.allow(limit + 64)

        let http = LoadClient.makeClient(connections: limit)
        do {
            var model = model
            if model == nil { model = try await LoadClient.firstModel(http, base: base, apiKey: apiKey) }
            let target = LoadTarget(
                url: url, route: route, model: model ?? "", apiKey: apiKey, temperature: load.temperature, ignoresEOS: load.ignoreEos,
                extra: extra)
            let client = LoadClient(client: http, target: target, origin: ContinuousClock().now)
            try await warmUp(client, list)
            let records = try await measure(client, list, limit)
            try report(records, target, goodput)
        } catch {
            try? await http.shutdown()
            throw error
        }
        try await http.shutdown()
    }

    private func warmUp(_ client: LoadClient, _ list: [BenchPrompt]) async throws {
        for index in 0..<load.numWarmups {
            let record = await client.run(list[index % list.count])
            if let error = record.error { throw BenchError("a warm-up request failed: \(error)") }
        }
    }

    private func measure(_ client: LoadClient, _ list: [BenchPrompt], _ limit: Int) async throws -> [RequestRecord] {
        let progress = TerminalProgress(quiet: result.quiet)
        progress.plan("requests", total: list.count, unit: .items("requests"))
        let times = ArrivalSchedule.times(count: list.count, rate: load.rate, burstiness: load.burstiness, seed: prompts.seed)
        let fresh = LoadClient(client: client.client, target: client.target, origin: client.clock.now)
        let records = try await LoadRun(client: fresh, limit: limit, progress: progress).run(list, at: times)
        progress.close()
        return records
    }

    private func report(_ records: [RequestRecord], _ target: LoadTarget, _ goodput: Goodput) throws {
        let duration = records.map { $0.start + $0.latency }.max() ?? 0
        let metrics = ServeMetrics(records, duration: duration, goodput: goodput)
        let report = ServeReport(
            metrics: metrics, maxConcurrency: load.maxConcurrency, requestRate: load.rate, showsGoodput: !goodput.isEmpty,
            selected: try result.selectedMetrics(), percentiles: try result.percentiles())
        Terminal.print(report.text)
        for line in FailureSummary.lines(records) { Terminal.error("failed: \(ProgressFormat.printable(line))") }
        if result.saveResult || result.resultFilename != nil {
            let now = LocalTime.stamp
            let saved = ServeResult(
                report: report, records: records, description: description(target, now, records.count), isDetailed: result.saveDetailed)
            let path = try result.path(defaultName: defaultName(target, now))
            try TextFile.write(JSONValue.object(saved.json).text + "\n", to: path)
            Terminal.error("saved to \(path)")
        }
        if metrics.completed == 0 { throw ExitCode(1) }
    }

    private func backend(_ target: LoadTarget) -> String { target.route == .chat ? "openai-chat" : "openai" }

    private func description(_ target: LoadTarget, _ now: String, _ count: Int) -> JSONObject {
        JSONObject([
            ("date", .string(now)), ("backend", .string(backend(target))), ("endpoint_type", .string(backend(target))), ("label", .null),
            ("model_id", .string(target.model)), ("tokenizer_id", .string(target.model)), ("num_prompts", .int(count)),
            ("request_rate", load.rate.isFinite ? .double(load.rate) : "inf"), ("burstiness", .double(load.burstiness)),
            ("max_concurrency", load.maxConcurrency.map { .int($0) } ?? .null),
        ])
    }

    private func defaultName(_ target: LoadTarget, _ now: String) -> String {
        let concurrency = load.maxConcurrency.map { "-concurrency\($0)" } ?? ""
        let model = target.model.split(separator: "/").last.map(String.init) ?? "model"
        return "\(backend(target))-\(load.rate.isFinite ? "\(load.rate)" : "inf")qps\(concurrency)-\(model)-\(now).json"
    }
}
