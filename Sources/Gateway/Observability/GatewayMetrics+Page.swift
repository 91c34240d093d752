package import Jobs
internal import Prometheus

/// How an endpoint stands when the page is asked for.
package struct EndpointLevels: Sendable, Equatable {
    package var id: EndpointID
    package var inQueue: Int
    package var inProgress: Int
    /// Of the oldest waiting job, ms; nil: none waits.
    package var oldestAgeMilliseconds: Int?
    package var workers: [WorkerState: Int]
    package var workersWanted: Int

    package init(id: EndpointID, inQueue: Int, inProgress: Int, oldestAgeMilliseconds: Int?, workers: [WorkerState: Int], workersWanted: Int) {
        self.id = id
        self.inQueue = inQueue
        self.inProgress = inProgress
        self.oldestAgeMilliseconds = oldestAgeMilliseconds
        self.workers = workers
        self.workersWanted = workersWanted
    }
}

extension GatewayMetrics {
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// All metrics in Prometheus's text format.
    /// - levels: of the endpoints to show; what was counted of others is left out.
    package func page(_ levels: [EndpointLevels]) -> [UInt8] {
        let counts = snapshot
        var text = PrometheusText(labels: [])
        Self.write(levels, &text)
        let shown = Set(levels.map(\.id))
        let endpoints = counts.endpoints.filter { shown.contains($0.key) }.sorted { $0.key < $1.key }
        Self.writeCounters(endpoints, &text)
        Self.writeHistograms(endpoints, &text)
        Self.writeRest(counts, &text)
        return text.bytes
    }

    private static func write(_ levels: [EndpointLevels], _ text: inout PrometheusText) {
        func gauge(_ name: String, _ help: String, _ value: (EndpointLevels) -> Double?) {
            text.describe("needletail_gateway_\(name)", .gauge, help)
            for level in levels {
                if let value = value(level) { text.sample("needletail_gateway_\(name)", [("endpoint", level.id.text)], value) }
            }
        }
        gauge("jobs_in_queue", "Jobs that wait for a worker.") { Double($0.inQueue) }
        gauge("jobs_in_progress", "Jobs that workers have.") { Double($0.inProgress) }
        gauge("oldest_job_age_seconds", "How long the oldest waiting job has waited; 0 if none waits.") { Double($0.oldestAgeMilliseconds ?? 0) / 1000 }
        gauge("workers_wanted", "Workers that the scaling rule asks for.") { Double($0.workersWanted) }
        text.describe("needletail_gateway_workers", .gauge, "Workers by state.")
        for level in levels {
            for state in WorkerState.allCases {
                text.sample(
                    "needletail_gateway_workers", [("endpoint", level.id.text), ("state", state.rawValue)], Double(level.workers[state] ?? 0))
            }
        }
    }

    private static func writeCounters(_ endpoints: [(key: EndpointID, value: Endpoint)], _ text: inout PrometheusText) {
        text.describe("needletail_gateway_jobs_submitted_total", .counter, "Jobs that came in, by the way they came.")
        for (id, endpoint) in endpoints {
            for (place, origin) in [JobOrigin.run, .runsync, .openai].enumerated() {
                text.sample(
                    "needletail_gateway_jobs_submitted_total", [("endpoint", id.text), ("origin", origin.rawValue)], Double(endpoint.submitted[place]))
            }
        }
        text.describe("needletail_gateway_jobs_total", .counter, "Jobs that ended, by state.")
        for (id, endpoint) in endpoints {
            for state in JobState.allCases where state.isTerminal {
                text.sample("needletail_gateway_jobs_total", [("endpoint", id.text), ("state", state.rawValue)], Double(endpoint.ended[state.place]))
            }
        }
        func counter(_ name: String, _ help: String, _ value: (Endpoint) -> Double) {
            text.describe("needletail_gateway_\(name)_total", .counter, help)
            for (id, endpoint) in endpoints { text.sample("needletail_gateway_\(name)_total", [("endpoint", id.text)], value(endpoint)) }
        }
        counter("jobs_requeued", "Hand-outs that ended with the loss of the worker.") { Double($0.requeued) }
        counter("chunks", "Partial outputs that workers posted.") { Double($0.chunks) }
        counter("tokens", "Output tokens that workers reported.") { Double($0.tokens) }
        counter("openai_requests", "Requests of the OpenAI route, streamed or not.") { Double($0.openAIRequests) }
        counter("worker_starts", "Workers that were started.") { Double($0.workerStarts) }
        counter("worker_quick_exits", "Workers that died before their first job.") { Double($0.quickExits) }
        counter("worker_seconds", "Time that workers were up.") { Double($0.workerMilliseconds) / 1000 }
        text.describe("needletail_gateway_openai_requests_open", .gauge, "Requests of the OpenAI route that are not answered to the end.")
        for (id, endpoint) in endpoints {
            text.sample("needletail_gateway_openai_requests_open", [("endpoint", id.text)], Double(endpoint.openAIRequestsOpen))
        }
    }

    private static func writeHistograms(_ endpoints: [(key: EndpointID, value: Endpoint)], _ text: inout PrometheusText) {
        func histogram(_ name: String, _ help: String, _ value: (Endpoint) -> Histogram) {
            text.describe("needletail_gateway_\(name)", .histogram, help)
            for (id, endpoint) in endpoints { text.samples("needletail_gateway_\(name)", value(endpoint), [("endpoint", id.text)]) }
        }
        histogram("queue_delay_seconds", "From the queue to the hand-out.") { $0.queueDelay }
        histogram("time_to_first_chunk_seconds", "From submission to the first partial output.") { $0.firstToken }
        histogram("execution_seconds", "From the hand-out to the end.") { $0.execution }
        histogram("cold_start_seconds", "From a worker's start to its first take.") { $0.coldStart }
    }

    private static func writeRest(_ counts: Counts, _ text: inout PrometheusText) {
        text.describe("needletail_gateway_http_requests_total", .counter, "Requests by operation and status.")
        for (key, count) in counts.http.sorted(by: { ($0.key.operation.rawValue, $0.key.status) < ($1.key.operation.rawValue, $1.key.status) }) {
            text.sample(
                "needletail_gateway_http_requests_total", [("operation", key.operation.rawValue), ("status", String(key.status))], Double(count))
        }
        text.counter("needletail_gateway_http_unauthorized", counts.unauthorized, "Requests without a valid key.")
        text.counter("needletail_gateway_http_rate_limited", counts.rateLimited, "Requests that were refused with 429.")
        text.describe("needletail_gateway_webhooks_total", .counter, "Tries of webhooks by result.")
        for result in WebhookResult.allCases {
            text.sample("needletail_gateway_webhooks_total", [("result", result.rawValue)], Double(counts.webhooks[result.place]))
        }
        text.describe("needletail_gateway_store_seconds", .histogram, "Time until the store had written a job or a step.")
        for operation in StoreOperation.allCases {
            text.samples("needletail_gateway_store_seconds", counts.store[operation.place], [("operation", operation.rawValue)])
        }
        text.describe("needletail_gateway_store_errors_total", .counter, "Writes of jobs and steps that failed.")
        for operation in StoreOperation.allCases {
            text.sample("needletail_gateway_store_errors_total", [("operation", operation.rawValue)], Double(counts.storeErrors[operation.place]))
        }
    }
}
