import Gateway
import Jobs
import Testing

@Suite struct ObservabilityMetricsTests {
    private let chat = EndpointID("chat")

    private func lines(_ metrics: GatewayMetrics, _ levels: [EndpointLevels] = []) -> [String] {
        String(decoding: metrics.page(levels), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test func countsAreShown() {
        let metrics = GatewayMetrics()
        metrics.submitted(chat, .runsync)
        metrics.taken(chat, afterMilliseconds: 40)
        metrics.firstToken(chat, afterMilliseconds: 300)
        metrics.chunks(chat, 3, tokens: 12)
        metrics.ended(chat, .completed, executionMilliseconds: 1500)
        metrics.ended(chat, .timedOut, executionMilliseconds: nil)
        metrics.requeued(chat)
        metrics.relayBegan(chat)
        metrics.relayBegan(chat)
        metrics.relayEnded(chat)
        metrics.workerStarted(chat)
        metrics.workerExitedQuickly(chat)
        metrics.workerReady(chat, afterMilliseconds: 9000)
        metrics.workerTime(chat, milliseconds: 2500)
        metrics.request(.run, status: 200)
        metrics.request(.run, status: 200)
        metrics.request(.status, status: 429)
        metrics.request(.openai, status: 401)
        metrics.webhook(.givenUp)
        metrics.store(.apply, took: .microseconds(200), failed: true)
        let shown = EndpointLevels(id: chat, inQueue: 0, inProgress: 0, oldestAgeMilliseconds: nil, workers: [:], workersWanted: 0)
        let lines = lines(metrics, [shown])
        for line in [
            #"needletail_gateway_jobs_submitted_total{endpoint="chat",origin="runsync"} 1.0"#,
            #"needletail_gateway_jobs_total{endpoint="chat",state="COMPLETED"} 1.0"#, #"needletail_gateway_jobs_total{endpoint="chat",state="TIMED_OUT"} 1.0"#,
            #"needletail_gateway_jobs_total{endpoint="chat",state="FAILED"} 0.0"#, #"needletail_gateway_jobs_requeued_total{endpoint="chat"} 1.0"#,
            #"needletail_gateway_chunks_total{endpoint="chat"} 3.0"#, #"needletail_gateway_tokens_total{endpoint="chat"} 12.0"#,
            #"needletail_gateway_openai_requests_total{endpoint="chat"} 2.0"#, #"needletail_gateway_openai_requests_open{endpoint="chat"} 1.0"#,
            #"needletail_gateway_worker_starts_total{endpoint="chat"} 1.0"#, #"needletail_gateway_worker_quick_exits_total{endpoint="chat"} 1.0"#,
            #"needletail_gateway_worker_seconds_total{endpoint="chat"} 2.5"#, #"needletail_gateway_queue_delay_seconds_bucket{endpoint="chat",le="0.025"} 0.0"#,
            #"needletail_gateway_queue_delay_seconds_bucket{endpoint="chat",le="0.05"} 1.0"#, #"needletail_gateway_queue_delay_seconds_count{endpoint="chat"} 1.0"#,
            #"needletail_gateway_time_to_first_chunk_seconds_sum{endpoint="chat"} 0.3"#, #"needletail_gateway_execution_seconds_count{endpoint="chat"} 1.0"#,
            #"needletail_gateway_cold_start_seconds_sum{endpoint="chat"} 9.0"#, #"needletail_gateway_http_requests_total{operation="run",status="200"} 2.0"#,
            #"needletail_gateway_http_requests_total{operation="status",status="429"} 1.0"#, "needletail_gateway_http_rate_limited_total 1.0",
            "needletail_gateway_http_unauthorized_total 1.0", #"needletail_gateway_webhooks_total{result="given_up"} 1.0"#,
            #"needletail_gateway_webhooks_total{result="delivered"} 0.0"#, #"needletail_gateway_store_seconds_bucket{operation="apply",le="0.00025"} 1.0"#,
            #"needletail_gateway_store_errors_total{operation="apply"} 1.0"#,
        ] { #expect(lines.contains(line), "\(line)") }
        #expect(!self.lines(metrics).contains { $0.contains("chat") })
        metrics.remove(chat)
        #expect(!self.lines(metrics, [shown]).contains { $0.contains("submitted_total{") })
    }

    @Test func levelsAreShown() {
        let level = EndpointLevels(
            id: EndpointID("chat"), inQueue: 7, inProgress: 2, oldestAgeMilliseconds: 4200, workers: [.running: 2, .unhealthy: 1], workersWanted: 3)
        let lines = lines(GatewayMetrics(), [level])
        for line in [
            #"needletail_gateway_jobs_in_queue{endpoint="chat"} 7.0"#, #"needletail_gateway_jobs_in_progress{endpoint="chat"} 2.0"#,
            #"needletail_gateway_oldest_job_age_seconds{endpoint="chat"} 4.2"#, #"needletail_gateway_workers{endpoint="chat",state="running"} 2.0"#,
            #"needletail_gateway_workers{endpoint="chat",state="idle"} 0.0"#, #"needletail_gateway_workers_wanted{endpoint="chat"} 3.0"#,
        ] { #expect(lines.contains(line), "\(line)") }
    }

    @Test func everyPlaceIsItsOwn() {
        // A sample for each case, each counted once: no two cases share a place in the fixed arrays.
        let metrics = GatewayMetrics()
        for (count, state) in JobState.allCases.enumerated() { for _ in 0...count { metrics.ended(chat, state, executionMilliseconds: 1) } }
        for (count, result) in WebhookResult.allCases.enumerated() { for _ in 0...count { metrics.webhook(result) } }
        for (count, operation) in StoreOperation.allCases.enumerated() { for _ in 0...count { metrics.store(operation, took: .zero) } }
        let lines = lines(metrics, [EndpointLevels(id: chat, inQueue: 0, inProgress: 0, oldestAgeMilliseconds: nil, workers: [:], workersWanted: 0)])
        for (count, state) in JobState.allCases.enumerated() where state.isTerminal {
            #expect(lines.contains("needletail_gateway_jobs_total{endpoint=\"chat\",state=\"\(state.rawValue)\"} \(Double(count + 1))"))
        }
        for (count, result) in WebhookResult.allCases.enumerated() {
            #expect(lines.contains("needletail_gateway_webhooks_total{result=\"\(result.rawValue)\"} \(Double(count + 1))"))
        }
        for (count, operation) in StoreOperation.allCases.enumerated() {
            #expect(lines.contains("needletail_gateway_store_seconds_count{operation=\"\(operation.rawValue)\"} \(Double(count + 1))"))
        }
    }

    @Test func pageKeepsTheFormat() throws {
        let metrics = GatewayMetrics()
        metrics.submitted(chat, .run)
        metrics.request(.other, status: 99999)
        var described: Set<String> = []
        for line in lines(metrics, [EndpointLevels(id: chat, inQueue: 0, inProgress: 0, oldestAgeMilliseconds: nil, workers: [:], workersWanted: 0)]) {
            if line.hasPrefix("# TYPE ") {
                // Each family once.
                #expect(described.insert(String(line.split(separator: " ")[2])).inserted)
            } else if !line.hasPrefix("#") {
                let name = line.prefix { $0 != "{" && $0 != " " }
                let family = ["_bucket", "_sum", "_count"].first { name.hasSuffix($0) }.map { String(name.dropLast($0.utf8.count)) } ?? String(name)
                #expect(described.contains(family) || described.contains(String(name)), "\(line)")
                #expect(Double(try #require(line.split(separator: " ").last)) != nil)
            }
        }
        #expect(described.count > 20)
    }

    @Test func tasksCountTogether() async {
        let metrics = GatewayMetrics()
        await withDiscardingTaskGroup { group in
            for _ in 0..<8 { group.addTask { for _ in 0..<1000 { metrics.chunks(EndpointID("chat"), 1) } } }
        }
        let shown = EndpointLevels(id: chat, inQueue: 0, inProgress: 0, oldestAgeMilliseconds: nil, workers: [:], workersWanted: 0)
        #expect(lines(metrics, [shown]).contains(#"needletail_gateway_chunks_total{endpoint="chat"} 8000.0"#))
    }
}
