package import Prometheus

/// The engine's figures after its latest step; named after vLLM's Prometheus metrics, which the server derives from it.
package struct EngineSnapshot: Sendable {
    // Gauges.
    /// Sequences: each of n choices is one.
    package var runningRequests = 0
    package var waitingRequests = 0
    /// 0...1: blocks held by sequences; cached but free blocks count as free.
    package var kvCacheUsage = 0.0
    package var blockSize = 0
    /// Usable blocks (without the null block).
    package var totalBlocks = 0
    package var freeBlocks = 0
    package var isAccepting = true

    // Counters.
    package var steps: UInt64 = 0
    package var failedSteps: UInt64 = 0
    /// Tokens looked up and found; vLLM's prefix_cache_queries and prefix_cache_hits.
    package var prefixCacheQueries: UInt64 = 0
    package var prefixCacheHits: UInt64 = 0
    package var preemptions: UInt64 = 0
    /// Prompt tokens of started requests, cached ones included.
    package var promptTokens: UInt64 = 0
    package var cachedPromptTokens: UInt64 = 0
    /// Tokens run through the model, recomputation included.
    package var computedTokens: UInt64 = 0
    package var generationTokens: UInt64 = 0
    package var finishedStop: UInt64 = 0
    package var finishedLength: UInt64 = 0
    package var finishedAbort: UInt64 = 0
    package var finishedError: UInt64 = 0
    /// Requests whose logits were NaN or infinite.
    package var corruptedRequests: UInt64 = 0
    /// Refused by queue limits.
    package var admissionRejections: UInt64 = 0

    // Step times, seconds, sums over all steps.
    package var schedulingSeconds = 0.0
    package var modelSeconds = 0.0
    package var samplingSeconds = 0.0
    package var lastStepSeconds = 0.0
    package var lastStepTokens = 0

    // Histograms, seconds or tokens.
    package var timeToFirstToken = Histogram(bounds: Self.firstTokenBounds)
    package var interTokenLatency = Histogram(bounds: Self.interTokenBounds)
    package var timePerOutputToken = Histogram(bounds: Self.interTokenBounds)
    package var endToEndLatency = Histogram(bounds: Self.requestBounds)
    package var queueTime = Histogram(bounds: Self.requestBounds)
    package var inferenceTime = Histogram(bounds: Self.requestBounds)
    package var prefillTime = Histogram(bounds: Self.requestBounds)
    package var decodeTime = Histogram(bounds: Self.requestBounds)
    package var iterationTokens = Histogram(bounds: [1, 8] + (4...14).map { Double(1 << $0) })
    package var requestPromptTokens: Histogram
    package var requestGenerationTokens: Histogram
    package var requestMaxTokens: Histogram
    package var requestComputedPrefillTokens: Histogram
    package var requestChoices = Histogram(bounds: [1, 2, 5, 10, 20])
    package var requestPreemptions = Histogram(bounds: [0, 1, 2, 5, 10])

    package init(maxModelLength: Int) {
        let tokens = Histogram(bounds: Histogram.decades(upTo: maxModelLength))
        requestPromptTokens = tokens
        requestGenerationTokens = tokens
        requestMaxTokens = tokens
        requestComputedPrefillTokens = tokens
    }

    package static let firstTokenBounds: [Double] = [
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
    ]
    package static let interTokenBounds: [Double] = [
        0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
    ]
    package static let requestBounds: [Double] = [
        0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
    ]
}
