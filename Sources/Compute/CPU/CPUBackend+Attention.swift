import CKernels
import Tensors

extension CPUBackend {
    package func attention(_ projection: Tensor, _ spec: AttentionSpec, into out: Tensor) {
        guard let cache else { return }
        let layer = cache.layer(spec.cacheLayer)
        rotateAndWrite(projection, spec, layer)
        var shared = nt_attention_args()
        shared.cache = layer
        shared.heads = spec.heads
        shared.q_stride = projection.columns
        shared.out_stride = out.columns
        shared.scale = spec.scale
        shared.softcap = spec.softcap
        shared.window = spec.slidingWindow ?? 0
        shared.alibi_slopes = spec.alibiSlopes?.floats
        shared.sinks = spec.sinks?.floats
        shared.bidirectional = spec.isBidirectional
        guard scratch.reserve(worker: nt_attention_scratch_bytes(&shared)) else { return }
        attendTiles(shared, projection, spec, out)
        for tile in plan.splitTiles { attendSplit(tile, shared, projection, spec, out) }
    }

    /// Clips, norms and rotates queries and keys in place, then writes keys and values to their slots.
    private func rotateAndWrite(_ projection: Tensor, _ spec: AttentionSpec, _ layer: nt_kv_cache) {
        let tokens = projection.rows, columns = projection.columns
        let keyColumn = spec.heads * spec.headDimension
        let valueColumn = keyColumn + spec.kvHeads * spec.headDimension
        // A decode step has few tokens: one chunk, on the calling thread.
        let chunk = tokens <= 4 ? tokens : max(4, (tokens + pool.threadCount * 4 - 1) / (pool.threadCount * 4))
        let style = spec.rope.map { ropes[$0.index].style == .half ? NT_ROPE_HALF : NT_ROPE_INTERLEAVED }
        let rotary = spec.rope.map { ropes[$0.index].rotaryDimension } ?? 0
        let slots = plan.groups[spec.cacheGroup].slots.base
        let cosines = spec.rope.map { plan.rotations[$0.index].cosines.base }
        let sines = spec.rope.map { plan.rotations[$0.index].sines.base }
        pool.parallelFor((tokens + chunk - 1) / chunk) { index, _ in
            let first = index * chunk, count = min(chunk, tokens - index * chunk)
            let rows = projection.floats + first * columns
            if let clip = spec.clip { for row in 0..<count { nt_clamp(rows + row * columns, clip, valueColumn + spec.kvHeads * spec.valueDimension) } }
            if !spec.normsAfterRotation { self.normHeads(rows, count, columns, keyColumn: keyColumn, spec) }
            if let style, let cosines, let sines {
                let offset = first * rotary / 2
                nt_rope(rows, count, columns, spec.heads, spec.headDimension, rotary, cosines + offset, sines + offset, nil, style)
                nt_rope(rows + keyColumn, count, columns, spec.kvHeads, spec.headDimension, rotary, cosines + offset, sines + offset, nil, style)
            }
            if spec.normsAfterRotation { self.normHeads(rows, count, columns, keyColumn: keyColumn, spec) }
            var layer = layer
            nt_kv_write(
                &layer, projection.floats + keyColumn, columns, projection.floats + valueColumn, columns,
                slots, first, first + count, 0, spec.kvHeads)
        }
    }

    private func normHeads(_ rows: UnsafeMutablePointer<Float>, _ count: Int, _ columns: Int, keyColumn: Int, _ spec: AttentionSpec) {
        if let norm = spec.queryNorm { normHeads(rows, count, columns, heads: spec.heads, spec.headDimension, norm) }
        if let norm = spec.keyNorm { normHeads(rows + keyColumn, count, columns, heads: spec.kvHeads, spec.headDimension, norm) }
    }

    /// Norms in place the `heads` heads at the start of each of `count` rows that lie `columns` apart.
    private func normHeads(_ rows: UnsafeMutablePointer<Float>, _ count: Int, _ columns: Int, heads: Int, _ dimension: Int, _ norm: HeadNorm) {
        switch norm.scope {
        case .shared:
            for row in 0..<count {
                let first = rows + row * columns
                normRows(first, dimension, heads, width: dimension, norm.norm, 0, nt_out(rows: first, stride: dimension * 4, type: NT_ACT_F32))
            }
        case .perHead:
            for head in 0..<heads {
                let first = rows + head * dimension
                normRows(first, columns, count, width: dimension, norm.norm, head * dimension, nt_out(rows: first, stride: columns * 4, type: NT_ACT_F32))
            }
        case .whole:
            normRows(rows, columns, count, width: heads * dimension, norm.norm, 0, nt_out(rows: rows, stride: columns * 4, type: NT_ACT_F32))
        }
    }

    /// Arguments for one sequence of the batch; query token 0 is its first token of this step.
    private func sequenceArguments(
        _ sequence: Int, _ shared: nt_attention_args, _ projection: Tensor, _ spec: AttentionSpec, _ out: Tensor
    ) -> nt_attention_args {
        var arguments = shared
        let first = Int(plan.queryStarts[sequence])
        let group = plan.groups[spec.cacheGroup]
        arguments.block_table = UnsafePointer(group.blockTables.base + sequence * group.maxBlocks)
        arguments.q = UnsafePointer(projection.floats + first * projection.columns)
        arguments.out = out.floats + first * out.columns
        arguments.first_position = Int(plan.positions[first])
        arguments.key_count = Int(plan.sequenceLengths[sequence])
        return arguments
    }

    private func attendTiles(_ shared: nt_attention_args, _ projection: Tensor, _ spec: AttentionSpec, _ out: Tensor) {
        let tiles = plan.tiles, scratch = scratch.workerBases, kvHeads = spec.kvHeads
        // Later tiles of a prompt see more keys: starting with them evens out the end.
        pool.parallelFor(tiles.count * kvHeads) { item, worker in
            let tile = tiles[tiles.count - 1 - item / kvHeads]
            let sequence = Int(tile.sequence), first = Int(self.plan.queryStarts[sequence])
            var arguments = self.sequenceArguments(sequence, shared, projection, spec, out)
            nt_attention(&arguments, item % kvHeads, Int(tile.begin) - first, Int(tile.end) - first, scratch[worker])
        }
    }

    /// One token over a long context: its KV splits go to different threads and are merged in order.
    private func attendSplit(
        _ tile: CPUStepPlan.QueryTile, _ shared: nt_attention_args, _ projection: Tensor, _ spec: AttentionSpec, _ out: Tensor
    ) {
        var arguments = sequenceArguments(Int(tile.sequence), shared, projection, spec, out)
        let splits = nt_attention_splits(&arguments, 1)
        let rowFloats = nt_attention_partial_floats(&arguments)
        let group = spec.heads / spec.kvHeads, kvHeads = spec.kvHeads
        let headFloats = splits * group * rowFloats
        guard let memory = scratch.partials(kvHeads * headFloats * 4) else { return }
        let partials = memory.assumingMemoryBound(to: Float.self), scratch = scratch.workerBases
        pool.parallelFor(kvHeads * splits) { item, worker in
            let head = item / splits, split = item % splits
            var arguments = arguments
            nt_attention_partial(&arguments, head, 0, 1, split, partials + head * headFloats + split * group * rowFloats, scratch[worker])
        }
        for head in 0..<kvHeads { nt_attention_combine(&arguments, head, 0, 1, splits, partials + head * headFloats) }
    }
}
