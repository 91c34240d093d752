import ArgumentParser
import Compute
import Engine

/// What every command that runs a model takes.
struct EngineOptions: ParsableArguments {
    static let values = [
        "dtype", "kv-cache-dtype", "kv-cache-memory", "max-model-len", "max-num-seqs", "max-num-batched-tokens", "block-size", "threads",
        "scheduling-policy", "max-num-queued-reqs", "max-num-queued-tokens", "long-prefill-token-threshold", "max-logprobs", "revision",
        "chat-template", "seed",
    ]
    static let flags: [String] = []
    static let invertible = ["enable-prefix-caching", "enable-chunked-prefill"]

    @Option(help: "Precision of activations: auto (by the weights) or float32 (nothing is rounded).")
    var dtype: DTypeOption = .auto

    @Option(
        help: "Type of cached keys and values: auto, float32, float16, bfloat16, or at half the memory int8 (nearest), fp8 (= fp8_e4m3) or fp8_e5m2.")
    var kvCacheDtype: KVCacheTypeOption = .auto

    @Option(help: "Memory for the KV cache, such as 2GiB or 500MB. Default: what the longest texts of all sequences could need, at most half of the free memory.")
    var kvCacheMemory: ByteSize?

    @Option(help: "Longest text, prompt and answer together, in tokens. Default: the model's own limit, or what fits the KV cache.")
    var maxModelLen: TokenCount?

    @Option(help: "Sequences that run at once.")
    var maxNumSeqs: Int = 128

    @Option(help: "Tokens of one step over all sequences.")
    var maxNumBatchedTokens: Int = 2048

    @Option(help: "Tokens in a block of the KV cache, a multiple of 16.")
    var blockSize: Int = 32

    @Option(help: "Compute threads. Default: one per processor that the process may use.")
    var threads: Int?

    @Option(help: "Order of waiting requests: fcfs or priority.")
    var schedulingPolicy: PolicyOption = .fcfs

    @Option(help: "Requests that may wait; more are refused with 503.")
    var maxNumQueuedReqs: Int = 1024

    @Option(help: "Prompt tokens that may wait; more are refused with 503.")
    var maxNumQueuedTokens: Int?

    @Option(help: "Most tokens one prompt may take of a step while others run.")
    var longPrefillTokenThreshold: Int?

    @Option(help: "Most alternatives that a request may ask log-probabilities of.")
    var maxLogprobs: Int = 20

    @Flag(inversion: .prefixedNo, help: "Reuse cached prefixes.")
    var enablePrefixCaching = true

    @Flag(inversion: .prefixedNo, help: "Cut long prompts into chunks that share steps with other requests.")
    var enableChunkedPrefill = true

    @Option(help: "Branch, tag or commit on the hub.")
    var revision: String?

    @Option(help: "Chat template: a file, or the template itself.")
    var chatTemplate: String?

    @Option(help: "Seed for requests that give none. Default: random.")
    var seed: UInt64?

    @Option(help: "YAML file with options.")
    var config: String?

    func validate() throws {
        guard blockSize > 0, blockSize % 16 == 0, blockSize <= 1024 else {
            throw ValidationError("--block-size is \(blockSize), but must be a multiple of 16 up to 1024")
        }
        guard maxNumSeqs > 0 else { throw ValidationError("--max-num-seqs is \(maxNumSeqs), but must be above 0") }
        guard maxNumBatchedTokens >= maxNumSeqs else {
            throw ValidationError("--max-num-batched-tokens (\(maxNumBatchedTokens)) must be at least --max-num-seqs (\(maxNumSeqs))")
        }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is \(threads), but must be 1 to 1024") }
        guard maxNumQueuedReqs > 0 else { throw ValidationError("--max-num-queued-reqs must be above 0") }
    }
}

enum DTypeOption: String, ExpressibleByArgument, CaseIterable {
    case auto, float32, bfloat16, half

    var precision: ComputePrecision { self == .float32 ? .float32 : .auto }
}

enum KVCacheTypeOption: String, ExpressibleByArgument, CaseIterable {
    case auto, float32, float16, bfloat16, int8, fp8
    case fp8E4M3 = "fp8_e4m3"
    case fp8E5M2 = "fp8_e5m2"

    var type: KVCacheType { KVCacheType(rawValue: rawValue) ?? .auto }
}

enum PolicyOption: String, ExpressibleByArgument, CaseIterable {
    case fcfs, priority

    var policy: SchedulingPolicy { self == .priority ? .priority : .fcfs }
}
