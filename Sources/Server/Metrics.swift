internal import Engine
internal import Prometheus

/// `GET /metrics`: the engine's figures under vLLM's names, and ours under `needletail_`.
enum Metrics {
    static func page(_ model: ServedModel, _ stats: ServerStats) -> [UInt8] {
        let engine = model.generator.snapshot
        let http = stats.current
        var text = PrometheusText(labels: [("model_name", model.names[0]), ("engine", "0")])
        gauges(engine, model.generator.configuration, into: &text)
        counters(engine, http, into: &text)
        histograms(engine, into: &text)
        own(engine, http, into: &text)
        var general = PrometheusText(labels: [])
        self.http(http, into: &general)
        return text.bytes + general.bytes
    }

    private static func gauges(_ engine: EngineSnapshot, _ configuration: EngineConfiguration, into text: inout PrometheusText) {
        text.gauge("vllm:num_requests_running", Double(engine.runningRequests), "Number of requests in model execution batches.")
        text.gauge("vllm:num_requests_waiting", Double(engine.waitingRequests), "Number of requests waiting to be processed.")
        text.describe("vllm:num_requests_waiting_by_reason", .gauge, "Number of waiting requests by reason.")
        text.sample("vllm:num_requests_waiting_by_reason", [("reason", "capacity")], Double(engine.waitingRequests))
        text.sample("vllm:num_requests_waiting_by_reason", [("reason", "deferred")], 0)
        text.gauge("vllm:kv_cache_usage_perc", engine.kvCacheUsage, "KV-cache usage. 1 means 100 percent usage.")
        text.describe("vllm:engine_sleep_state", .gauge, "Engine sleep state.")
        for (state, value) in [("awake", 1.0), ("weights_offloaded", 0), ("discard_all", 0)] {
            text.sample("vllm:engine_sleep_state", [("sleep_state", state)], value)
        }
        text.describe("vllm:cache_config_info", .gauge, "Information of the LLMEngine CacheConfig.")
        text.sample(
            "vllm:cache_config_info",
            [
                ("block_size", String(engine.blockSize)), ("num_gpu_blocks", String(engine.totalBlocks)),
                ("enable_prefix_caching", configuration.prefixCaching ? "True" : "False"), ("cache_dtype", "auto"),
            ], 1)
    }

    private static func counters(_ engine: EngineSnapshot, _ http: ServerStats.Counts, into text: inout PrometheusText) {
        text.counter("vllm:prefix_cache_queries", engine.prefixCacheQueries, "Prefix cache queries, in tokens.")
        text.counter("vllm:prefix_cache_hits", engine.prefixCacheHits, "Prefix cache hits, in tokens.")
        text.counter("vllm:num_preemptions", engine.preemptions, "Cumulative number of preemptions.")
        text.counter("vllm:prompt_tokens", engine.promptTokens, "Number of prefill tokens processed.")
        text.describe("vllm:prompt_tokens_by_source_total", .counter, "Number of prompt tokens by source.")
        let computed = engine.promptTokens - min(engine.promptTokens, engine.cachedPromptTokens)
        for (source, count) in [
            ("local_compute", computed), ("local_cache_hit", engine.cachedPromptTokens), ("external_kv_transfer", 0),
        ] {
            text.sample("vllm:prompt_tokens_by_source_total", [("source", source)], Double(count))
        }
        text.counter("vllm:prompt_tokens_cached", engine.cachedPromptTokens, "Number of cached prompt tokens.")
        text.counter("vllm:generation_tokens", engine.generationTokens, "Number of generation tokens processed.")
        text.describe("vllm:request_success_total", .counter, "Count of processed requests by reason.")
        // The engine sees a request that ended at a stop string as cancelled.
        let stopStrings = min(http.stopStringEnds, engine.finishedAbort)
        for (reason, count) in [
            ("stop", engine.finishedStop + stopStrings), ("length", engine.finishedLength), ("abort", engine.finishedAbort - stopStrings),
            ("error", engine.finishedError), ("repetition", 0),
        ] {
            text.sample("vllm:request_success_total", [("finished_reason", reason)], Double(count))
        }
        text.counter("vllm:corrupted_requests", engine.corruptedRequests, "Requests whose logits held NaNs.")
        text.describe("vllm:admission_rejections_total", .counter, "Requests refused by queue limits.")
        text.sample("vllm:admission_rejections_total", [("reason", "queue_full")], Double(engine.admissionRejections))
    }

    private static func histograms(_ engine: EngineSnapshot, into text: inout PrometheusText) {
        for (name, histogram, help) in [
            ("time_to_first_token_seconds", engine.timeToFirstToken, "Time to first token in seconds."),
            ("inter_token_latency_seconds", engine.interTokenLatency, "Inter-token latency in seconds."),
            ("request_time_per_output_token_seconds", engine.timePerOutputToken, "Time per output token of a request in seconds."),
            ("e2e_request_latency_seconds", engine.endToEndLatency, "End to end request latency in seconds."),
            ("request_queue_time_seconds", engine.queueTime, "Time spent in WAITING phase."),
            ("request_inference_time_seconds", engine.inferenceTime, "Time spent in RUNNING phase."),
            ("request_prefill_time_seconds", engine.prefillTime, "Time spent in PREFILL phase."),
            ("request_decode_time_seconds", engine.decodeTime, "Time spent in DECODE phase."),
            ("iteration_tokens_total", engine.iterationTokens, "Tokens per engine step."),
            ("request_prompt_tokens", engine.requestPromptTokens, "Number of prefill tokens of a request."),
            ("request_generation_tokens", engine.requestGenerationTokens, "Number of generation tokens of a request."),
            ("request_max_num_generation_tokens", engine.requestMaxTokens, "Maximum number of requested generation tokens."),
            ("request_params_max_tokens", engine.requestMaxTokens, "The max_tokens request parameter."),
            ("request_prefill_kv_computed_tokens", engine.requestComputedPrefillTokens, "New KV tokens computed during prefill."),
            ("request_params_n", engine.requestChoices, "The n request parameter."),
            ("request_num_preemptions", engine.requestPreemptions, "Preemptions of a request."),
        ] {
            text.histogram("vllm:\(name)", histogram, help)
        }
    }

    private static func own(_ engine: EngineSnapshot, _ http: ServerStats.Counts, into text: inout PrometheusText) {
        text.counter("needletail_steps", engine.steps, "Engine steps run.")
        text.counter("needletail_failed_steps", engine.failedSteps, "Engine steps that failed.")
        text.counter("needletail_computed_tokens", engine.computedTokens, "Tokens run through the model, recomputation included.")
        text.describe("needletail_step_seconds_total", .counter, "Time spent in engine steps by phase.")
        for (phase, seconds) in [("schedule", engine.schedulingSeconds), ("model", engine.modelSeconds), ("sample", engine.samplingSeconds)] {
            text.sample("needletail_step_seconds_total", [("phase", phase)], seconds)
        }
        text.gauge("needletail_last_step_seconds", engine.lastStepSeconds, "Duration of the latest step.")
        text.gauge("needletail_last_step_tokens", Double(engine.lastStepTokens), "Tokens of the latest step.")
        text.gauge("needletail_free_blocks", Double(engine.freeBlocks), "Free KV-cache blocks.")
        text.counter("needletail_client_disconnects", http.disconnects, "Generating requests whose client hung up.")
        text.gauge("needletail_requests_in_progress", Double(http.load), "Generating requests in progress.")
    }

    private static func http(_ http: ServerStats.Counts, into text: inout PrometheusText) {
        text.describe("http_requests_total", .counter, "Number of HTTP requests by handler, method and status.")
        for (key, count) in http.requests.sorted(by: { ($0.key.handler, $0.key.method, $0.key.status) < ($1.key.handler, $1.key.method, $1.key.status) }) {
            text.sample(
                "http_requests_total", [("handler", key.handler), ("method", key.method), ("status", "\(key.status)xx")], Double(count))
        }
        text.describe("http_request_duration_seconds", .histogram, "Duration of HTTP requests, streams included.")
        for (handler, histogram) in http.durations.sorted(by: { $0.key < $1.key }) {
            text.samples("http_request_duration_seconds", histogram, [("handler", handler)])
        }
    }
}
