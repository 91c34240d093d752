/// Figures of a run of `bench serve`, with vLLM's definitions. Only requests that succeeded count, except in `failed`.
package struct ServeMetrics: Sendable {
    package var completed = 0, failed = 0
    package var totalInput = 0, totalOutput = 0
    /// Seconds from the first sending to the last answer.
    package var duration: Double
    package var goodRequests = 0
    package var peakOutputTokensPerSecond = 0.0
    package var peakConcurrentRequests = 0
    /// In milliseconds, by name: ttft, tpot, itl, e2el.
    package var latencies: [String: Statistics]

    package static let names = ["ttft", "tpot", "itl", "e2el"]

    package init(_ records: [RequestRecord], duration: Double, goodput: Goodput) {
        self.duration = max(duration, 1e-9)
        var first: [Double] = [], perToken: [Double] = [], gaps: [Double] = [], whole: [Double] = []
        let good = records.filter { $0.error == nil }
        let begin = good.map(\.start).min() ?? 0
        let seconds = Self.second(good.map { $0.start + $0.latency }.max() ?? 0, since: begin) + 1
        var tokens = [Int](repeating: 0, count: seconds), running = tokens
        for record in good {
            first.append(record.timeToFirstToken * 1000)
            whole.append(record.latency * 1000)
            if let time = record.timePerToken { perToken.append(time * 1000) }
            for gap in record.gaps { gaps.append(gap * 1000) }
            if goodput.isMet(by: record) { goodRequests += 1 }
            totalInput += record.promptTokens
            totalOutput += record.outputTokens
            var now = record.start + record.timeToFirstToken
            tokens[min(seconds - 1, Self.second(now, since: begin))] += 1
            for gap in record.gaps {
                now += gap
                tokens[min(seconds - 1, Self.second(now, since: begin))] += 1
            }
            let from = Self.second(record.start, since: begin)
            for second in from...max(from, Self.second(record.start + record.latency, since: begin)) { running[second] += 1 }
        }
        completed = good.count
        failed = records.count - good.count
        peakOutputTokensPerSecond = Double(good.isEmpty ? 0 : tokens.max() ?? 0)
        peakConcurrentRequests = good.isEmpty ? 0 : running.max() ?? 0
        latencies = [
            "ttft": Statistics(first), "tpot": Statistics(perToken), "itl": Statistics(gaps), "e2el": Statistics(whole),
        ]
    }

    private static func second(_ time: Double, since begin: Double) -> Int { Int(max(0, min(time - begin, 1e7))) }

    package var requestThroughput: Double { Double(completed) / duration }
    package var requestGoodput: Double { Double(goodRequests) / duration }
    package var outputThroughput: Double { Double(totalOutput) / duration }
    package var totalTokenThroughput: Double { Double(totalInput + totalOutput) / duration }
}
