import CLI
import JSON
import Testing

@Suite struct ServeMetricsTests {
    private func chunk(_ text: String) throws -> ReplyChunk { try ReplyChunk(Array(text.utf8)) }

    /// Starts at `start`, first token after 100 ms, then one every 50 ms; the server counts `tokens`.
    private func record(start: Double, chunks: Int, tokens: Int) throws -> RequestRecord {
        var record = RequestRecord(start: start, promptTokens: 1)
        record.take(try chunk(#"{"choices":[{"delta":{"role":"assistant"}}]}"#), at: start + 0.01)
        for index in 0..<chunks {
            record.take(try chunk(#"{"choices":[{"delta":{"content":"x"}}]}"#), at: start + 0.1 + 0.05 * Double(index))
        }
        record.take(
            try chunk(#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#), at: start + 0.1 + 0.05 * Double(max(0, chunks - 1)))
        record.take(try chunk(#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":\#(tokens)}}"#), at: start + 9)
        record.finish()
        return record
    }

    private func close(_ a: Double?, _ b: Double) -> Bool { a.map { abs($0 - b) < 1e-9 } ?? false }

    @Test func timesOneRequest() throws {
        let record = try record(start: 5, chunks: 3, tokens: 5)
        #expect(close(record.timeToFirstToken, 0.1))
        #expect(record.gaps.count == 2 && close(record.gaps[0], 0.05))
        #expect(close(record.latency, 0.2))
        #expect(close(record.timePerToken, 0.1 / 4))
        #expect(record.promptTokens == 10 && record.outputTokens == 5 && record.text == "xxx" && record.error == nil)
    }

    @Test func namesFailures() throws {
        var empty = RequestRecord(start: 0, promptTokens: 1)
        empty.finish()
        #expect(empty.error != nil)
        var torn = RequestRecord(start: 0, promptTokens: 1)
        torn.take(try chunk(#"{"choices":[{"text":"x"}]}"#), at: 1)
        torn.finish()
        #expect(torn.error?.contains("broke off") == true)
        // An answer without text is one.
        #expect(try record(start: 0, chunks: 0, tokens: 1).error == nil)
        var others = [torn, empty, torn]
        #expect(FailureSummary.lines(others).first == "2 × \(torn.error ?? "")")
        for index in 0..<8 {
            var record = torn
            record.error = "e\(index)"
            others.append(record)
        }
        #expect(FailureSummary.lines(others).count == 6)
    }

    @Test func addsUp() throws {
        var failed = RequestRecord(start: 0, promptTokens: 99)
        failed.error = "HTTP 500"
        let records = try [record(start: 1, chunks: 3, tokens: 3), record(start: 1.1, chunks: 1, tokens: 1), failed, record(start: 3, chunks: 2, tokens: 2)]
        let metrics = ServeMetrics(records, duration: 4, goodput: try Goodput(["ttft:100.5", "tpot:40"]))
        #expect(metrics.completed == 3 && metrics.failed == 1)
        #expect(metrics.totalInput == 30 && metrics.totalOutput == 6)
        #expect(metrics.requestThroughput == 0.75 && metrics.outputThroughput == 1.5 && metrics.totalTokenThroughput == 9)
        // Only the answer of a single token, whose TPOT counts 0, is quick enough.
        #expect(metrics.goodRequests == 1)
        #expect(metrics.peakOutputTokensPerSecond == 4)
        #expect(metrics.peakConcurrentRequests == 2)
        #expect(close(metrics.latencies["tpot"]?.mean, 50))
        #expect(close(metrics.latencies["ttft"]?.median, 100))
    }

    @Test func nothingSucceeded() throws {
        let metrics = ServeMetrics([], duration: 0, goodput: try Goodput([]))
        #expect(metrics.requestThroughput == 0 && metrics.peakConcurrentRequests == 0)
    }

    @Test(arguments: ["ttft", "ttft:", "ttft:-1", "itl:5", "ttft:1:2"])
    func refusesGoodput(_ argument: String) {
        #expect(throws: BenchError.self) { try Goodput([argument]) }
    }

    private func report(_ goodput: Bool = true) throws -> (ServeReport, [RequestRecord]) {
        let records = try [record(start: 0, chunks: 3, tokens: 3)]
        let metrics = ServeMetrics(records, duration: 2, goodput: try Goodput(["e2el:1000"]))
        let report = ServeReport(
            metrics: metrics, maxConcurrency: 4, requestRate: 0.5, showsGoodput: goodput, selected: ["e2el", "ttft"], percentiles: [50, 99.9])
        return (report, records)
    }

    /// Labels and columns as vLLM prints them.
    @Test func printsWhatScriptsRead() throws {
        let (report, _) = try report()
        let wanted = """
            ============ Serving Benchmark Result ============
            Successful requests:                     1
            Failed requests:                         0
            Maximum request concurrency:             4
            Request rate configured (RPS):           0.50
            Benchmark duration (s):                  2.00
            Total input tokens:                      10
            Total generated tokens:                  3
            Request throughput (req/s):              0.50
            Request goodput (req/s):                 0.50
            Output token throughput (tok/s):         1.50
            Peak output token throughput (tok/s):    3.00
            Peak concurrent requests:                1.00
            Total token throughput (tok/s):          6.50
            ---------------Time to First Token----------------
            Mean TTFT (ms):                          100.00
            Median TTFT (ms):                        100.00
            P50 TTFT (ms):                           100.00
            P99.9 TTFT (ms):                         100.00
            ----------------End-to-end Latency----------------
            Mean E2EL (ms):                          200.00
            Median E2EL (ms):                        200.00
            P50 E2EL (ms):                           200.00
            P99.9 E2EL (ms):                         200.00
            ==================================================
            """
        let lines = report.text.split(separator: "\n").map { line in
            String(line.reversed().drop { $0 == " " }.reversed())
        }
        #expect(lines == wanted.split(separator: "\n").map(String.init))
    }

    @Test func savesVLLMsKeys() throws {
        let (report, records) = try report(false)
        let result = ServeResult(report: report, records: records, description: ["backend": "openai"].json, isDetailed: false).json
        #expect(result.members.map(\.key) == [
            "backend", "duration", "completed", "failed", "total_input_tokens", "total_output_tokens", "request_throughput",
            "request_goodput", "output_throughput", "total_token_throughput", "max_output_tokens_per_s", "max_concurrent_requests",
            "mean_ttft_ms", "median_ttft_ms", "std_ttft_ms", "p50_ttft_ms", "p99.9_ttft_ms",
            "mean_e2el_ms", "median_e2el_ms", "std_e2el_ms", "p50_e2el_ms", "p99.9_e2el_ms",
        ])
        #expect(result["request_goodput"] == .null)
        let detailed = ServeResult(report: report, records: records, description: JSONObject(), isDetailed: true).json
        #expect(detailed["itls"]?.array?.first?.array?.count == 2)
        #expect(detailed["generated_texts"] == ["xxx"])
    }
}

extension [String: String] {
    fileprivate var json: JSONObject { JSONObject(map { ($0.key, .string($0.value)) }) }
}
