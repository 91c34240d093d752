internal import Step

/// Engine settings that contradict each other or the model. Raised at start-up.
package struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Name as on the command line.
    package let setting: String
    package let value: String
    package let expectation: String

    package var description: String { "\(setting) is \(value) but \(expectation)" }
}

extension EngineConfiguration {
    func validate(kvCache: KVCacheSpec, vocabularySize: Int) throws(ConfigurationError) {
        func require(_ holds: Bool, _ setting: String, _ value: Int, _ expectation: String) throws(ConfigurationError) {
            if !holds { throw ConfigurationError(setting: setting, value: String(value), expectation: expectation) }
        }
        try require(maxModelLength >= 2 && maxModelLength <= 1 << 30, "max_model_len", maxModelLength, "must be within 2...2^30")
        try require(vocabularySize >= 1 && vocabularySize <= 1 << 30, "vocab_size", vocabularySize, "must be within 1...2^30")
        try require(kvCache.blockSize >= 1, "block_size", kvCache.blockSize, "must be at least 1")
        try require(kvCache.blockCount >= 2, "num_blocks", kvCache.blockCount, "must be at least 2, since block 0 is never used")
        let (slots, overflow) = kvCache.blockCount.multipliedReportingOverflow(by: kvCache.blockSize)
        try require(!overflow && slots <= Int(Int32.max), "num_blocks", kvCache.blockCount, "times block_size must fit 32 bits")
        try require(!kvCache.groups.isEmpty, "kv_cache_groups", 0, "the model must declare at least one")
        for group in kvCache.groups {
            if let window = group.slidingWindow { try require(window >= 1 && window <= 1 << 30, "sliding_window", window, "must be within 1...2^30") }
        }
        try require(scheduler.tokensPerStep >= 1, "max_num_batched_tokens", scheduler.tokensPerStep, "must be at least 1")
        try require(scheduler.sequences >= 1, "max_num_seqs", scheduler.sequences, "must be at least 1")
        if let cap = scheduler.longPrefillTokens {
            try require(cap >= 1, "long_prefill_token_threshold", cap, "must be at least 1")
        }
        try require(scheduler.promptLogprobRowsPerStep >= 1, "prompt_logprob_rows", scheduler.promptLogprobRowsPerStep, "must be at least 1")
        if !scheduler.chunkedPrefill {
            try require(
                scheduler.tokensPerStep >= maxModelLength, "max_num_batched_tokens", scheduler.tokensPerStep,
                "must be at least max_model_len (\(maxModelLength)) when chunked prefill is off")
        }
        guard scheduler.watermark >= 0, scheduler.watermark < 1 else {
            throw ConfigurationError(setting: "watermark", value: "\(scheduler.watermark)", expectation: "must be within [0, 1)")
        }
        if let limit = scheduler.adapters { try require(limit >= 1, "max_loras", limit, "must be at least 1") }
        try require(maxWaitingRequests >= 1, "max_num_queued_reqs", maxWaitingRequests, "must be at least 1")
    }
}
