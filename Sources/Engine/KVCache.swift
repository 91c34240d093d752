package import Step

/// Gives sequences their blocks, over all KV cache groups: prefix hits, growth, sliding windows, sharing and copy-on-write.
package struct KVCache: Sendable {
    package let spec: KVCacheSpec
    package let capacity: CacheCapacity
    package private(set) var pool: BlockPool
    let isPrefixCaching: Bool
    private let key: HashKey

    package init(spec: KVCacheSpec, prefixCaching: Bool, key: HashKey) {
        self.spec = spec
        capacity = CacheCapacity(spec)
        pool = BlockPool(count: spec.blockCount)
        isPrefixCaching = prefixCaching
        self.key = key
    }

    package func blocks(covering tokens: Int) -> Int { (tokens + spec.blockSize - 1) / spec.blockSize }

    /// The longest prefix, in blocks, that every group still has. A full-attention group needs all of it, a window group only the blocks
    /// that a token after it can see.
    /// - Parameter limit: in blocks; the caller keeps at least one token to compute.
    package func hit(_ hashes: [BlockHash], limit: Int) -> Int {
        guard isPrefixCaching else { return 0 }
        var length = min(limit, hashes.count)
        for (group, kind) in spec.groups.enumerated() where kind.slidingWindow == nil {
            var found = 0
            while found < length, pool.find(hashes[found], group: group) != nil { found += 1 }
            length = found
        }
        // Each window group may shorten the hit, which may then not suit another: until all agree.
        var isStable = false
        while !isStable, length > 0 {
            isStable = true
            for (group, kind) in spec.groups.enumerated() {
                guard let window = kind.slidingWindow else { continue }
                let found = windowHit(hashes, group: group, window: window, limit: length)
                if found < length {
                    length = found
                    isStable = false
                }
            }
        }
        return length
    }

    /// The largest length up to `limit` whose last `window - 1` tokens are cached, searched from the right.
    private func windowHit(_ hashes: [BlockHash], group: Int, window: Int, limit: Int) -> Int {
        let needed = blocks(covering: window - 1)
        var end = limit
        while end > 0 {
            let start = max(0, end - needed)
            var index = end - 1
            while index >= start, pool.find(hashes[index], group: group) != nil { index -= 1 }
            if index < start { return end }
            end = index
        }
        return 0
    }

    /// Blocks of a hit of `length` that are held by somebody and so cost nothing.
    package func sharedBlocks(inHit length: Int, _ hashes: [BlockHash]) -> Int {
        var count = 0
        for (group, kind) in spec.groups.enumerated() {
            for index in firstVisibleBlock(kind, computed: length * spec.blockSize)..<length {
                if let id = pool.find(hashes[index], group: group), pool.references(id) > 0 { count += 1 }
            }
        }
        return count
    }

    /// Takes the blocks of a hit into an empty sequence.
    mutating func adopt(_ length: Int, into sequence: inout SequenceBlocks) {
        for (group, kind) in spec.groups.enumerated() {
            let first = firstVisibleBlock(kind, computed: length * spec.blockSize)
            for index in 0..<length {
                if index >= first, let id = pool.find(sequence.hashes[index], group: group) {
                    pool.retain(id)
                    sequence.tables[group].blocks.append(id)
                } else {
                    sequence.tables[group].blocks.append(0)
                }
            }
            sequence.tables[group].dropped = min(first, length)
        }
        sequence.offered = length
    }

    /// Blocks before it are invisible to every token from position `computed` on.
    private func firstVisibleBlock(_ group: KVCacheGroup, computed: Int) -> Int {
        guard let window = group.slidingWindow else { return 0 }
        return max(0, computed - window + 1) / spec.blockSize
    }

    /// Makes room for the tokens at `computed ..< known`: drops what fell out of windows, copies a shared block that would be written to,
    /// adds blocks.
    /// - Returns: false if the pool has too few; then only the windows have moved.
    mutating func reserve(_ sequence: inout SequenceBlocks, computed: Int, upTo known: Int, copies: inout [BlockCopy]) -> Bool {
        let length = blocks(covering: known)
        var needed = 0
        for (group, kind) in spec.groups.enumerated() {
            drop(before: firstVisibleBlock(kind, computed: computed), group, &sequence)
            needed += max(0, length - sequence.tables[group].blocks.count)
            if sharedWriteBlock(sequence.tables[group], computed: computed) != nil { needed += 1 }
        }
        if needed > pool.freeCount { return false }
        for group in spec.groups.indices {
            if let index = sharedWriteBlock(sequence.tables[group], computed: computed), let copy = pool.allocate() {
                let shared = sequence.tables[group].blocks[index]
                copies.append(BlockCopy(source: shared, destination: copy))
                sequence.tables[group].blocks[index] = copy
                pool.release(shared)
            }
            while sequence.tables[group].blocks.count < length, let id = pool.allocate() { sequence.tables[group].blocks.append(id) }
        }
        return true
    }

    /// The partly filled block that the token at `computed` goes to, if others hold it too.
    private func sharedWriteBlock(_ table: SequenceBlocks.Table, computed: Int) -> Int? {
        let index = computed / spec.blockSize
        guard index < table.blocks.count, table.blocks[index] != 0, pool.references(table.blocks[index]) > 1 else { return nil }
        return index
    }

    private mutating func drop(before first: Int, _ group: Int, _ sequence: inout SequenceBlocks) {
        let end = min(first, sequence.tables[group].blocks.count)
        // Deeper blocks first, so that shallower ones stay cached longer.
        var index = end - 1
        while index >= sequence.tables[group].dropped {
            pool.release(sequence.tables[group].blocks[index])
            sequence.tables[group].blocks[index] = 0
            index -= 1
        }
        sequence.tables[group].dropped = max(end, sequence.tables[group].dropped)
    }

    /// Offers the blocks that are full of computed tokens to the prefix cache.
    /// - Parameter tokens: the sequence's, at least `computed`.
    mutating func offer(_ sequence: inout SequenceBlocks, tokens: [Int32], computed: Int) {
        guard isPrefixCaching else { return }
        let full = computed / spec.blockSize
        while sequence.offered < full {
            let index = sequence.offered
            if sequence.hashes.count <= index {
                let start = index * spec.blockSize
                sequence.hashes.append(
                    .next(after: sequence.hashes.last ?? sequence.root, tokens: tokens[start..<start + spec.blockSize], key: key))
            }
            for group in sequence.tables.indices {
                let id = sequence.tables[group].blocks[index]
                if id != 0 { pool.cache(id, as: sequence.hashes[index], group: group) }
            }
            sequence.offered += 1
        }
    }

    /// A second sequence over the same blocks.
    mutating func share(_ sequence: SequenceBlocks) -> SequenceBlocks {
        for table in sequence.tables {
            for id in table.blocks where id != 0 { pool.retain(id) }
        }
        return sequence
    }

    /// Gives all blocks back, deepest first. Hashes stay, for a later hit.
    mutating func release(_ sequence: inout SequenceBlocks) {
        for group in sequence.tables.indices {
            for id in sequence.tables[group].blocks.reversed() where id != 0 { pool.release(id) }
            sequence.tables[group].blocks.removeAll(keepingCapacity: true)
            sequence.tables[group].dropped = 0
        }
        sequence.offered = 0
    }

    mutating func forgetAll() -> Bool { pool.forgetAll() }
}
