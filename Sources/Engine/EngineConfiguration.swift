package import Sampling

/// Order of the waiting queue and choice of preemption victims.
package enum SchedulingPolicy: String, Sendable, Equatable, CaseIterable {
    case fcfs
    /// By (priority, arrival), lowest first.
    case priority
}

/// What bounds a step and the queue.
package struct SchedulerLimits: Sendable, Equatable {
    /// Tokens of one step over all sequences (max_num_batched_tokens).
    package var tokensPerStep = 2048
    /// Sequences running at once (max_num_seqs); each of n choices is one.
    package var sequences = 128
    /// Most tokens one sequence may take of a step while others run or wait (long-prefill cap); nil is half of `tokensPerStep`.
    package var longPrefillTokens: Int? = nil
    /// Off: a prompt that does not fit what is left of the step's budget waits for a step of its own.
    package var chunkedPrefill = true
    /// A sequence is computed in one step or not at all, for models that need it so; `chunkedPrefill` must be off.
    package var wholeSequences = false
    /// Logit rows a prompt_logprobs request may ask of one step, to bound the logits' memory.
    package var promptLogprobRowsPerStep = 64
    /// Blocks kept free on admission so that running sequences can grow, as a fraction of the pool.
    package var watermark = 0.01
    package var policy = SchedulingPolicy.fcfs
    /// Adapters that may run at once (max_loras); requests for further ones wait, and others pass them. nil is no limit.
    package var adapters: Int? = nil

    package init() {}
}

package struct EngineConfiguration: Sendable, Equatable {
    /// Prompt plus output tokens of one sequence.
    package var maxModelLength: Int
    /// Ids at or above it are never chosen; nil is the runner's whole row.
    package var vocabularySize: Int? = nil
    package var scheduler = SchedulerLimits()
    package var prefixCaching = true
    package var sampling = SamplingLimits()
    /// Submissions not yet started; more are refused.
    package var maxWaitingRequests = 1024
    /// Their prompt tokens; nil is no limit.
    package var maxWaitingTokens: Int? = nil
    /// Rows sampled at once, each with its own scratch; nil is one per processor, at most 16.
    package var samplingWorkers: Int? = nil
    /// Key of the block hashes; nil is random, so that no client can provoke a collision.
    package var hashKey: HashKey? = nil

    package init(maxModelLength: Int) {
        self.maxModelLength = maxModelLength
    }
}
