/// What a model takes of the machine's memory, decided before anything large is allocated.
package struct MemoryPlan: Sendable, Equatable {
    package var weightBytes: Int
    package var workBytes: Int
    package var cache: CacheFootprint
    package var blockCount: Int
    package var maxModelLength: Int
    /// Bytes that the process may take.
    package var available: Int

    package var cacheBytes: Int { cache.bytesPerBlock * blockCount }
    /// Tokens that fit the cache; block 0 is never used.
    package var cacheTokens: Int { (blockCount - 1) / cache.windows.count * cache.blockSize }
    /// Full texts that fit the cache at once.
    package var texts: Int { cache.texts(of: maxModelLength, in: cacheBytes) }

    /// - Parameters:
    ///   - limit: tokens of the longest text that the model was made for.
    ///   - chunk: most tokens of one text in a step.
    ///   - budget: bytes for the cache; nil takes what the sequences could need, at most half of `available`.
    ///   - wantedLength: tokens of the longest text; nil takes the model's limit or what fits.
    ///   - canShrink: whether the weights are stored in 16 bits or more, so that quantising them would help.
    package init(
        weightBytes: Int, workBytes: Int, cache: CacheFootprint, limit: Int, sequences: Int, chunk: Int, budget: Int?, wantedLength: Int?,
        available: Int, canShrink: Bool
    ) throws(PlanError) {
        self.weightBytes = weightBytes
        self.workBytes = workBytes
        self.cache = cache
        self.available = available
        let groups = cache.windows.count, smallest = cache.bytesPerBlock * (1 + groups)
        let (fixed, overflow) = weightBytes.addingReportingOverflow(workBytes)
        let room = overflow ? -1 : available - fixed
        let parts = "weights take \(QuantityText.bytes(weightBytes)) and work space \(QuantityText.bytes(workBytes))"
        guard room >= smallest else {
            throw PlanError(
                "the model does not fit: its \(parts), but only \(QuantityText.bytes(available)) of memory is free; "
                    + (canShrink
                        ? "use quantised weights (`needletail quantize MODEL --to q4_k` makes about \(QuantityText.bytes(weightBytes / 10 * 3))), "
                            + "fewer --max-num-batched-tokens, or a machine with more memory"
                        : "use fewer --max-num-batched-tokens, a smaller model, or a machine with more memory"))
        }
        if let budget, budget > room {
            throw PlanError(
                "--kv-cache-memory \(QuantityText.bytes(budget)) does not fit: \(parts), which leaves \(QuantityText.bytes(room)) of the "
                    + "\(QuantityText.bytes(available)) that are free; use --kv-cache-memory \(room >> 20)MiB or less")
        }
        let length = wantedLength ?? limit
        let wanted = cache.byteCount(length: length, sequences: max(1, sequences), chunk: chunk) / cache.bytesPerBlock
        let affordable = (budget ?? min(available / 2, room)) / cache.bytesPerBlock
        let most = Int(Int32.max) / cache.blockSize
        blockCount = max(1 + groups, min(budget == nil ? min(wanted, affordable) : affordable, most))
        let fitting = max(cache.blockSize, cache.longestText(in: cache.bytesPerBlock * blockCount, limit: length))
        if let wantedLength, wantedLength > fitting {
            throw PlanError(
                "--max-model-len \(wantedLength) needs \(QuantityText.bytes(cache.byteCount(length: wantedLength, sequences: 1))) of KV cache for one text, "
                    + (budget.map { "but --kv-cache-memory is \(QuantityText.bytes($0))" }
                        ?? "but \(QuantityText.bytes(min(available / 2, room))) can be given to it (\(parts), \(QuantityText.bytes(available)) are free)")
                    + "; at most \(fitting) tokens fit: use --max-model-len \(fitting), a smaller --kv-cache-dtype or a larger --kv-cache-memory")
        }
        maxModelLength = min(length, fitting)
    }

    /// Lines for the start-up log.
    package var lines: [String] {
        [
            "memory     weights \(QuantityText.bytes(weightBytes)), KV cache \(QuantityText.bytes(cacheBytes)), work space up to "
                + "\(QuantityText.bytes(workBytes)); \(QuantityText.bytes(available)) free",
            "KV cache   \(blockCount - 1) blocks of \(cache.blockSize) tokens, \(cacheTokens) tokens (\(QuantityText.bytes(cache.bytesPerToken)) a token), "
                + "\(texts) texts of the full \(maxModelLength) tokens",
        ]
    }
}
