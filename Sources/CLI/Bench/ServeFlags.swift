import ArgumentParser
import JSON

/// Which prompts `bench serve` sends.
struct PromptFlags: ParsableArguments {
    @Option(help: "Requests to send.")
    var numPrompts = 1000

    @Option(help: "Tokens of a random prompt.")
    var randomInputLen = 1024

    @Option(help: "Tokens of an answer to a random prompt.")
    var randomOutputLen = 128

    @Option(help: "Draw lengths from length·(1 - ratio) to length·(1 + ratio); 0 up to below 1.")
    var randomRangeRatio = 0.0

    @Option(help: "Tokens that begin every random prompt.")
    var randomPrefixLen = 0

    @Option(help: "Random token ids are drawn from 100 (or 0, if this is not above 100) up to below this.")
    var randomVocab: Int32 = 1000

    @Flag(help: "Send random words instead of token ids.")
    var textPrompts = false

    @Option(help: "File with prompts: lines of {\"prompt\", \"output_tokens\"} or ShareGPT's JSON.")
    var datasetPath: String?

    @Option(name: [.customLong("output-len"), .customLong("custom-output-len"), .customLong("sharegpt-output-len")],
        help: "Tokens of an answer, whatever the data set says.")
    var outputLen: Int?

    @Flag(help: "Take the data set in its own order.")
    var disableShuffle = false

    @Option(help: "Seed of prompts and arrivals.")
    var seed: UInt64 = 0

    func validate() throws {
        guard numPrompts > 0 else { throw ValidationError("--num-prompts must be above 0") }
        guard randomInputLen > 0, randomOutputLen > 0, outputLen ?? 1 > 0, randomPrefixLen >= 0 else {
            throw ValidationError("lengths must be above 0")
        }
        guard (0..<1).contains(randomRangeRatio) else { throw ValidationError("--random-range-ratio must be 0 up to below 1") }
        guard randomVocab > 0 else { throw ValidationError("--random-vocab must be above 0") }
    }

    func make(_ route: LoadTarget.Route) throws -> [BenchPrompt] {
        guard let datasetPath else {
            var random = RandomPrompts()
            random.inputLength = randomInputLen
            random.outputLength = outputLen ?? randomOutputLen
            random.rangeRatio = randomRangeRatio
            random.prefixLength = randomPrefixLen
            random.vocabulary = (randomVocab > 100 ? 100 : 0)..<randomVocab
            random.usesWords = textPrompts || route == .chat
            return random.make(numPrompts, seed: seed)
        }
        do {
            let prompts = try PromptFile.prompts(try TextFile.read(datasetPath), outputLength: outputLen)
            return PromptFile.choose(numPrompts, of: prompts, seed: seed, shuffles: !disableShuffle)
        } catch let error as BenchError {
            throw BenchError("\(datasetPath): \(error)")
        }
    }
}

/// How `bench serve` sends them.
struct LoadFlags: ParsableArguments {
    @Option(help: "Requests per second; inf sends all at once.")
    var requestRate = "inf"

    @Option(help: "Shape of the gaps between requests: 1 is Poisson, less is bursts, more is even.")
    var burstiness = 1.0

    @Option(help: "Requests under way at once. Default: no limit but --max-connections.")
    var maxConcurrency: Int?

    @Option(help: "Connections open at once; requests over it wait before they are sent and timed.")
    var maxConnections = 1024

    @Option(help: "Requests before the measured ones, one after the other.")
    var numWarmups = 0

    @Option(help: "Temperature of the requests; default leaves it to the server.", transform: Self.temperature)
    var temperature: Double? = 0

    @Flag(help: "Ask for answers of full length, past the end-of-text token (where the server knows ignore_eos).")
    var ignoreEos = false

    @Option(help: "JSON object whose members are added to each request.")
    var extraBody: String?

    /// Requests per second.
    var rate: Double { requestRate == "inf" ? .infinity : Double(requestRate) ?? .infinity }

    func validate() throws {
        guard requestRate == "inf" || (Double(requestRate).map { $0 > 0 && $0.isFinite } ?? false) else {
            throw ValidationError("--request-rate must be inf or a number above 0, not '\(requestRate)'")
        }
        guard burstiness > 0, burstiness.isFinite else { throw ValidationError("--burstiness must be above 0") }
        guard maxConcurrency ?? 1 > 0, maxConnections > 0 else { throw ValidationError("--max-concurrency and --max-connections must be above 0") }
        guard maxConnections <= 100_000 else { throw ValidationError("--max-connections must be at most 100000") }
        guard numWarmups >= 0 else { throw ValidationError("--num-warmups must not be negative") }
    }

    func extraFields() throws -> JSONObject {
        guard let extraBody else { return JSONObject() }
        guard let object = (try? JSONValue(parsing: extraBody))?.object else {
            throw ValidationError("--extra-body must be a JSON object, not '\(extraBody)'")
        }
        return object
    }

    private static func temperature(_ text: String) throws -> Double? {
        if text == "default" { return nil }
        guard let value = Double(text), value >= 0, value.isFinite else {
            throw ValidationError("--temperature must be a number of at least 0, or default")
        }
        return value
    }
}

/// What `bench serve` reports.
struct ResultFlags: ParsableArguments {
    @Option(parsing: .upToNextOption, help: "Bounds of good requests in milliseconds: ttft:200 tpot:50 e2el:5000.")
    var goodput: [String] = []

    @Option(help: "Times to report, of ttft, tpot, itl and e2el.")
    var percentileMetrics = "ttft,tpot,itl,e2el"

    @Option(help: "Percentiles to report.")
    var metricPercentiles = "99"

    @Flag(help: "Save the result as JSON.")
    var saveResult = false

    @Flag(help: "Save an entry per request as well.")
    var saveDetailed = false

    @Option(help: "Folder of the saved result.")
    var resultDir: String?

    @Option(help: "File of the saved result; implies --save-result. Default: named for server, rate, model and time.")
    var resultFilename: String?

    @Flag(help: "Show no progress.")
    var quiet = false

    func validate() throws {
        _ = try selectedMetrics()
        _ = try percentiles()
    }

    func selectedMetrics() throws -> [String] {
        let names = percentileMetrics.split(separator: ",").map(String.init)
        if let wrong = names.first(where: { !ServeMetrics.names.contains($0) }) {
            throw ValidationError("--percentile-metrics takes \(ServeMetrics.names.joined(separator: ", ")), not '\(wrong)'")
        }
        return names
    }

    func percentiles() throws -> [Double] {
        try metricPercentiles.split(separator: ",").map { text in
            guard let rank = Double(text), (0...100).contains(rank) else {
                throw ValidationError("--metric-percentiles takes numbers from 0 to 100, not '\(text)'")
            }
            return rank
        }
    }

    func path(defaultName: String) throws -> String {
        let name = resultFilename ?? defaultName
        guard let resultDir, !name.hasPrefix("/") else { return name }
        return resultDir.hasSuffix("/") ? resultDir + name : "\(resultDir)/\(name)"
    }
}
