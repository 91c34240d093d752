import Compute
import Models
import Weights

/// What a model takes of the machine's memory, decided before anything large is allocated.
struct MemoryPlan: Equatable {
    /// Bytes of the weights as stored; mapped from the file, so the kernel may drop and read them again.
    var weightBytes: Int
    /// Bytes of one token in all layers of the KV cache.
    var bytesPerToken: Int
    var blockSize: Int
    var blockCount: Int
    var maxModelLength: Int

    var cacheBytes: Int { bytesPerToken * blockSize * blockCount }
    /// Tokens that fit the cache; block 0 is never used.
    var cacheTokens: Int { (blockCount - 1) * blockSize }

    /// - Parameters:
    ///   - budget: bytes for the cache; nil takes what the sequences could need, at most half of `available`.
    ///   - wantedLength: tokens of the longest text; nil takes the model's limit or what fits.
    init(
        _ source: ModelSource, on backend: any Backend, blockSize: Int, sequences: Int, budget: Int?, wantedLength: Int?, available: Int
    ) throws {
        let bytesPerBlock = try source.bytesPerBlock(backend, blockSize: blockSize)
        let groups = source.cachePlan.groups.count
        weightBytes = source.checkpoint.byteCount
        bytesPerToken = max(1, bytesPerBlock / blockSize)
        self.blockSize = blockSize
        let limit = source.description.maxPositions
        let length = wantedLength ?? limit
        let blocksPerSequence = groups * ((length + blockSize - 1) / blockSize)
        let (needed, overflow) = (blocksPerSequence + 1).multipliedReportingOverflow(by: max(1, sequences))
        let wanted = overflow ? Int.max / 2 : needed
        let affordable = max(0, budget ?? available / 2) / bytesPerBlock
        blockCount = max(1 + groups, min(wanted, affordable, Int(Int32.max) / blockSize))
        if budget != nil { blockCount = max(1 + groups, min(affordable, Int(Int32.max) / blockSize)) }
        let fitting = max(blockSize, (blockCount - 1) / groups * blockSize)
        if let wantedLength, wantedLength > fitting {
            throw SettingsError(
                "--max-model-len \(wantedLength) needs \(ByteSize.text(blocksPerSequence * bytesPerBlock)) of KV cache for one sequence, but "
                    + "\(budget == nil ? "half of the free memory is" : "--kv-cache-memory is") \(ByteSize.text(budget ?? available / 2)); "
                    + "at most \(fitting) tokens fit: use --max-model-len \(fitting) or a larger --kv-cache-memory")
        }
        maxModelLength = min(length, fitting)
    }

    /// Lines for the start-up log.
    var lines: [String] {
        [
            "weights    \(ByteSize.text(weightBytes)), mapped",
            "KV cache   \(ByteSize.text(cacheBytes)): \(blockCount - 1) blocks of \(blockSize) tokens, \(cacheTokens) tokens "
                + "(\(ByteSize.text(bytesPerToken)) a token), \(cacheTokens / max(1, maxModelLength)) texts of the full \(maxModelLength) tokens",
        ]
    }
}
