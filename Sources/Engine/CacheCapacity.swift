package import Step

/// How many blocks sequences need, over all groups.
package struct CacheCapacity: Sendable {
    let spec: KVCacheSpec
    /// Without the null block.
    let usableBlocks: Int

    package init(_ spec: KVCacheSpec) {
        self.spec = spec
        usableBlocks = spec.blockCount - 1
    }

    /// Blocks one group holds at most while it computes a sequence of `tokens` in steps of up to `chunk` tokens.
    func blocks(of group: KVCacheGroup, tokens: Int, chunk: Int) -> Int {
        let whole = (tokens + spec.blockSize - 1) / spec.blockSize
        guard let window = group.slidingWindow else { return whole }
        // window - 1 tokens before the step's first and the step's own, wherever block borders fall
        return min(whole, (window - 1 + min(chunk, tokens) + spec.blockSize - 2) / spec.blockSize + 1)
    }

    func blocks(tokens: Int, chunk: Int) -> Int {
        var sum = 0
        for group in spec.groups { sum += blocks(of: group, tokens: tokens, chunk: chunk) }
        return sum
    }

    /// Whether a sequence alone can be computed, in the smallest steps if need be.
    package func fits(tokens: Int) -> Bool { blocks(tokens: tokens, chunk: 1) <= usableBlocks }

    /// The longest sequence that fits; `Int32.max` if windows bound all groups.
    package var tokens: Int {
        var low = 0
        var high = Int(Int32.max)
        if fits(tokens: high) { return high }
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if fits(tokens: middle) { low = middle } else { high = middle }
        }
        return low
    }
}
