package import JSON

/// The saved result of `bench serve`, with vLLM's keys.
package struct ServeResult: Sendable {
    package var report: ServeReport
    package var records: [RequestRecord]
    /// What was run: date, backend, model and so on, first in the file.
    package var description: JSONObject
    /// With one entry per request.
    package var isDetailed: Bool

    package init(report: ServeReport, records: [RequestRecord], description: JSONObject, isDetailed: Bool) {
        self.report = report
        self.records = records
        self.description = description
        self.isDetailed = isDetailed
    }

    package var json: JSONObject {
        var json = description
        let metrics = report.metrics
        json["duration"] = .double(metrics.duration)
        json["completed"] = .int(metrics.completed)
        json["failed"] = .int(metrics.failed)
        json["total_input_tokens"] = .int(metrics.totalInput)
        json["total_output_tokens"] = .int(metrics.totalOutput)
        json["request_throughput"] = .double(metrics.requestThroughput)
        json["request_goodput"] = report.showsGoodput ? .double(metrics.requestGoodput) : .null
        json["output_throughput"] = .double(metrics.outputThroughput)
        json["total_token_throughput"] = .double(metrics.totalTokenThroughput)
        json["max_output_tokens_per_s"] = .double(metrics.peakOutputTokensPerSecond)
        json["max_concurrent_requests"] = .int(metrics.peakConcurrentRequests)
        for name in ServeMetrics.names where report.selected.contains(name) {
            guard let statistics = metrics.latencies[name] else { continue }
            json["mean_\(name)_ms"] = .double(statistics.mean)
            json["median_\(name)_ms"] = .double(statistics.median)
            json["std_\(name)_ms"] = .double(statistics.standardDeviation)
            for rank in report.percentiles { json["p\(ServeReport.word(rank))_\(name)_ms"] = .double(statistics.percentile(rank)) }
        }
        if isDetailed { addDetails(to: &json) }
        return json
    }

    private func addDetails(to json: inout JSONObject) {
        json["input_lens"] = .array(records.map { .int($0.promptTokens) })
        json["output_lens"] = .array(records.map { .int($0.outputTokens) })
        json["start_times"] = .array(records.map { .double($0.start) })
        json["ttfts"] = .array(records.map { .double($0.timeToFirstToken) })
        json["itls"] = .array(records.map { .array($0.gaps.map { .double($0) }) })
        json["generated_texts"] = .array(records.map { .string($0.text) })
        json["errors"] = .array(records.map { .string($0.error ?? "") })
    }
}
