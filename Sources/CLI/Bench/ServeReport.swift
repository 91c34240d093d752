/// The printed result of `bench serve`: labels, order and columns are vLLM's, since scripts read them.
package struct ServeReport: Sendable {
    package var metrics: ServeMetrics
    package var maxConcurrency: Int?
    /// Requests per second; infinite is not printed.
    package var requestRate: Double
    package var showsGoodput: Bool
    /// Which of ttft, tpot, itl and e2el.
    package var selected: [String]
    package var percentiles: [Double]

    package init(
        metrics: ServeMetrics, maxConcurrency: Int?, requestRate: Double, showsGoodput: Bool, selected: [String], percentiles: [Double]
    ) {
        self.metrics = metrics
        self.maxConcurrency = maxConcurrency
        self.requestRate = requestRate
        self.showsGoodput = showsGoodput
        self.selected = selected
        self.percentiles = percentiles
    }

    package static let headings = [
        "ttft": ("TTFT", "Time to First Token"), "tpot": ("TPOT", "Time per Output Token (excl. 1st token)"),
        "itl": ("ITL", "Inter-token Latency"), "e2el": ("E2EL", "End-to-end Latency"),
    ]

    package var text: String {
        var lines = [Self.centered(" Serving Benchmark Result ", "=")]
        func count(_ label: String, _ value: Int) { lines.append(Self.row(label, String(value))) }
        func number(_ label: String, _ value: Double) { lines.append(Self.row(label, Fixed.text(value, 2))) }
        count("Successful requests:", metrics.completed)
        count("Failed requests:", metrics.failed)
        if let maxConcurrency { count("Maximum request concurrency:", maxConcurrency) }
        if requestRate.isFinite { number("Request rate configured (RPS):", requestRate) }
        number("Benchmark duration (s):", metrics.duration)
        count("Total input tokens:", metrics.totalInput)
        count("Total generated tokens:", metrics.totalOutput)
        number("Request throughput (req/s):", metrics.requestThroughput)
        if showsGoodput { number("Request goodput (req/s):", metrics.requestGoodput) }
        number("Output token throughput (tok/s):", metrics.outputThroughput)
        number("Peak output token throughput (tok/s):", metrics.peakOutputTokensPerSecond)
        number("Peak concurrent requests:", Double(metrics.peakConcurrentRequests))
        number("Total token throughput (tok/s):", metrics.totalTokenThroughput)
        for name in ServeMetrics.names where selected.contains(name) {
            guard let (short, long) = Self.headings[name], let statistics = metrics.latencies[name] else { continue }
            lines.append(Self.centered(long, "-"))
            number("Mean \(short) (ms):", statistics.mean)
            number("Median \(short) (ms):", statistics.median)
            for rank in percentiles { number("P\(Self.word(rank)) \(short) (ms):", statistics.percentile(rank)) }
        }
        lines.append(String(repeating: "=", count: 50))
        return lines.joined(separator: "\n")
    }

    /// `99`, `99.9`.
    package static func word(_ rank: Double) -> String { Int(exactly: rank).map(String.init) ?? "\(rank)" }

    private static func row(_ label: String, _ value: String) -> String { padded(label, 40) + " " + padded(value, 10) }

    private static func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }

    private static func centered(_ text: String, _ fill: String) -> String {
        let room = max(0, 50 - text.count)
        return String(repeating: fill, count: room / 2) + text + String(repeating: fill, count: room - room / 2)
    }
}
