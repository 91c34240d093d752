import CKernels

extension CPUBackend {
    /// Query heads of each KV head, cut into ranges that are work items of their own.
    private struct HeadCut {
        let group: Int
        let size: Int
        let rangesPerGroup: Int
        let count: Int

        /// - Parameter most: heads of a range; a multiple of the rows that the kernels take at once.
        init(heads: Int, kvHeads: Int, most: Int) {
            group = heads / kvHeads
            size = min(group, most)
            rangesPerGroup = (group + size - 1) / size
            count = kvHeads * rangesPerGroup
        }

        subscript(index: Int) -> Range<Int> {
            let first = index / rangesPerGroup * group, begin = index % rangesPerGroup * size
            return first + begin..<first + min(group, begin + size)
        }
    }

    /// Attends for every token of the step. Keys and values are in the cache.
    /// - Parameter shared: with `q`, `q_rotary` and `out` at the step's first token.
    func attend(_ shared: nt_attention_args, cacheGroup: Int) {
        var shared = shared
        guard scratch.reserve(worker: nt_attention_scratch_bytes(&shared)) else { return }
        attendTiles(shared, cacheGroup)
        for tile in plan.splitTiles { attendSplit(tile, shared, cacheGroup) }
    }

    /// Arguments for one sequence of the batch; query token 0 is its first token of this step.
    private func sequenceArguments(_ sequence: Int, _ shared: nt_attention_args, _ cacheGroup: Int) -> nt_attention_args {
        var arguments = shared
        let first = Int(plan.queryStarts[sequence])
        let group = plan.groups[cacheGroup]
        arguments.block_table = UnsafePointer(group.blockTables.base + sequence * group.maxBlocks)
        arguments.q += first * shared.q_stride
        if shared.cache.latent { arguments.q_rotary += first * shared.q_rotary_stride }
        arguments.out += first * shared.out_stride
        arguments.first_position = Int(plan.positions[first])
        arguments.key_count = Int(plan.sequenceLengths[sequence])
        return arguments
    }

    private func attendTiles(_ shared: nt_attention_args, _ cacheGroup: Int) {
        let tiles = plan.tiles, scratch = scratch.workerBases
        // Many heads in one item read a key once for all of them; few balance the threads.
        let isFew = tiles.count * Int(shared.cache.kv_heads) < pool.threadCount * 4
        let cut = HeadCut(heads: shared.heads, kvHeads: shared.cache.kv_heads, most: isFew ? 8 : 32)
        // Later tiles of a prompt see more keys: starting with them evens out the end.
        pool.parallelFor(tiles.count * cut.count) { item, worker in
            let tile = tiles[tiles.count - 1 - item / cut.count], heads = cut[item % cut.count]
            let sequence = Int(tile.sequence), first = Int(self.plan.queryStarts[sequence])
            var arguments = self.sequenceArguments(sequence, shared, cacheGroup)
            nt_attention(&arguments, heads.lowerBound, heads.upperBound, Int(tile.begin) - first, Int(tile.end) - first, scratch[worker])
        }
    }

    /// One token over a long context: its KV splits go to different threads and are merged in order.
    private func attendSplit(_ tile: CPUStepPlan.QueryTile, _ shared: nt_attention_args, _ cacheGroup: Int) {
        var arguments = sequenceArguments(Int(tile.sequence), shared, cacheGroup)
        let splits = nt_attention_splits(&arguments, 1)
        let rowFloats = nt_attention_partial_floats(&arguments)
        let cut = HeadCut(heads: shared.heads, kvHeads: shared.cache.kv_heads, most: 32)
        guard let memory = scratch.partials(shared.heads * splits * rowFloats * 4) else { return }
        let partials = memory.assumingMemoryBound(to: Float.self), scratch = scratch.workerBases
        pool.parallelFor(cut.count * splits) { item, worker in
            let heads = cut[item / splits], split = item % splits
            var arguments = arguments
            nt_attention_partial(
                &arguments, heads.lowerBound, heads.upperBound, 0, 1, split,
                partials + (heads.lowerBound * splits + split * heads.count) * rowFloats, scratch[worker])
        }
        for item in 0..<cut.count {
            let heads = cut[item]
            nt_attention_combine(&arguments, heads.lowerBound, heads.upperBound, 0, 1, splits, partials + heads.lowerBound * splits * rowFloats)
        }
    }
}
