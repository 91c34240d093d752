import CKernels
import Tensors

extension CPUBackend {
    package func attention(_ projection: Tensor, _ spec: AttentionSpec, into out: Tensor) {
        guard let cache else { return }
        let page = KVPage.heads(kvHeads: spec.kvHeads, headDimension: spec.headDimension, valueDimension: spec.valueDimension)
        let layer = cache.layer(spec.cacheLayer, page)
        rotateAndWrite(projection, spec, layer)
        var arguments = nt_attention_args()
        arguments.cache = layer
        arguments.heads = spec.heads
        arguments.q = UnsafePointer(projection.floats)
        arguments.q_stride = projection.columns
        arguments.out = out.floats
        arguments.out_stride = out.columns
        arguments.scale = spec.scale
        arguments.softcap = spec.softcap
        arguments.window = spec.slidingWindow ?? 0
        arguments.alibi_slopes = spec.alibiSlopes?.floats
        arguments.sinks = spec.sinks?.floats
        arguments.bidirectional = spec.isBidirectional
        attend(arguments, cacheGroup: spec.cacheGroup)
        if spec.hasOutputGate { gate(out, by: projection, column: spec.heads * spec.headDimension) }
    }

    /// `out *= sigmoid(gates)`; the gates are the columns of `projection` from `column` on.
    private func gate(_ out: Tensor, by projection: Tensor, column: Int) {
        let chunk = 16, width = out.columns
        pool.parallelFor((out.rows + chunk - 1) / chunk) { index, _ in
            let first = index * chunk, rows = out.floats + first * width
            nt_activate(
                NT_SIGMOID, projection.floats + first * projection.columns + column, projection.columns, rows, width,
                min(chunk, out.rows - first), width, nt_out(rows: rows, stride: width * 4, type: NT_ACT_F32))
        }
    }

    /// Clips, norms and rotates queries and keys in place, then writes keys and values to their slots.
    private func rotateAndWrite(_ projection: Tensor, _ spec: AttentionSpec, _ layer: nt_kv_cache) {
        let tokens = projection.rows, columns = projection.columns
        let keyColumn = spec.keyColumn
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
}
