import CKernels
package import Tensors

/// One row-major matrix a head.
final class CPUHeadMatrices {
    let type: nt_type
    let data: [UnsafeRawPointer]
    /// Keep `data` alive.
    private let owners: [AnyObject]

    init(type: nt_type, data: [UnsafeRawPointer], owners: [AnyObject]) {
        self.type = type
        self.data = data
        self.owners = owners
    }
}

extension CPUBackend {
    package func latentAttention(_ queries: Tensor, rotary: HeadColumns, latents: Tensor, _ spec: LatentAttentionSpec, into out: Tensor) {
        guard let cache else { return }
        let layer = cache.layer(spec.cacheLayer, .latent(rank: spec.rank, rotary: spec.rotary))
        rotateAndWrite(rotary, latents, spec, layer)
        var arguments = nt_attention_args()
        arguments.cache = layer
        arguments.heads = spec.heads
        arguments.q = UnsafePointer(queries.floats)
        arguments.q_stride = queries.columns
        arguments.q_rotary = UnsafePointer(rotary.tensor.floats + rotary.offset)
        arguments.q_rotary_stride = rotary.tensor.columns
        arguments.q_rotary_head = rotary.stride
        arguments.out = out.floats
        arguments.out_stride = out.columns
        arguments.scale = spec.scale
        attend(arguments, cacheGroup: spec.cacheGroup)
    }

    private func rotateAndWrite(_ rotary: HeadColumns, _ latents: Tensor, _ spec: LatentAttentionSpec, _ layer: nt_kv_cache) {
        let tokens = latents.rows, columns = latents.columns
        let chunk = tokens <= 4 ? tokens : max(4, (tokens + pool.threadCount * 4 - 1) / (pool.threadCount * 4))
        let slots = plan.groups[spec.cacheGroup].slots.base
        pool.parallelFor((tokens + chunk - 1) / chunk) { index, _ in
            let first = index * chunk, count = min(chunk, tokens - index * chunk)
            let rows = latents.floats + first * columns
            if let norm = spec.latentNorm {
                self.normRows(rows, columns, count, width: spec.rank, norm, 0, nt_out(rows: rows, stride: columns * 4, type: NT_ACT_F32))
            }
            if let rope = spec.rope {
                let width = self.ropes[rope.index].rotaryDimension, style = self.ropes[rope.index].style == .half ? NT_ROPE_HALF : NT_ROPE_INTERLEAVED
                let cosines = self.plan.rotations[rope.index].cosines.base + first * width / 2
                let sines = self.plan.rotations[rope.index].sines.base + first * width / 2
                let queries = rotary.tensor.floats + first * rotary.tensor.columns + rotary.offset
                nt_rope(queries, count, rotary.tensor.columns, spec.heads, rotary.stride, width, cosines, sines, nil, style)
                nt_rope(rows + spec.rank, count, columns, 1, spec.rotary, width, cosines, sines, nil, style)
            }
            var layer = layer
            nt_kv_write(&layer, latents.floats, columns, nil, 0, slots, first, first + count, 0, 1)
        }
    }

    // MARK: A matrix for each head

    package func makeHeadMatrices(_ heads: [StoredWeight], transposed: Bool) throws -> HeadMatrices {
        guard let first = heads.first, heads.allSatisfy({ $0.outputs == first.outputs && $0.inputs == first.inputs }) else {
            throw BackendError.shapeMismatch("the heads of a layer need matrices of one shape")
        }
        let rows = first.outputs, columns = first.inputs
        let outputs = transposed ? columns : rows, inputs = transposed ? rows : columns
        let type = plainType(of: heads)
        if let type, !transposed {
            let views = heads.compactMap { head in if case .dense(let view) = head { view } else { nil } }
            let storage = CPUHeadMatrices(type: type, data: views.compactMap { $0.bytes.baseAddress }, owners: views.map { $0.owner })
            return HeadMatrices(heads: heads.count, outputs: outputs, inputs: inputs, storage: storage)
        }
        // Quantised matrices are small beside the rest and are widened; plain ones keep every bit.
        let made = type ?? (configuration.precision == .float32 ? NT_F32 : NT_BF16)
        let bytes = outputs * inputs * (made == NT_F32 ? 4 : 2)
        let memory = try HostMemory(byteCount: bytes * heads.count, for: "the heads' matrices")
        for (index, head) in heads.enumerated() {
            widen(try floats(head), rows: rows, columns: columns, to: made, at: memory.base + index * bytes, transposed: transposed)
        }
        let storage = CPUHeadMatrices(type: made, data: heads.indices.map { UnsafeRawPointer(memory.base + $0 * bytes) }, owners: [memory])
        return HeadMatrices(heads: heads.count, outputs: outputs, inputs: inputs, storage: storage)
    }

    /// The type of all matrices where it is one that products take as it is stored.
    private func plainType(of heads: [StoredWeight]) -> nt_type? {
        let types = heads.map { head in if case .dense(let view) = head { view.dtype.kernelType } else { nt_type?.none } }
        guard let first = types[0], first == NT_F32 || first == NT_F16 || first == NT_BF16, types.allSatisfy({ $0 == first }) else { return nil }
        return first
    }

    private func floats(_ weight: StoredWeight) throws -> [Float] {
        guard case .dense(let view) = weight else { return try weight.floats() }
        guard let type = view.dtype.kernelType, let base = view.bytes.baseAddress, nt_row_bytes(type, weight.inputs) == view.bytesPerRow else {
            throw BackendError.unsupportedWeight(dtype: view.dtype, reason: "the CPU backend cannot read rows of \(weight.inputs) elements of it")
        }
        return [Float](unsafeUninitializedCapacity: weight.outputs * weight.inputs) { floats, count in
            for row in 0..<weight.outputs {
                nt_dequantize_row(type, base + row * view.bytesPerRow, floats.baseAddress.map { $0 + row * weight.inputs }, weight.inputs)
            }
            count = weight.outputs * weight.inputs
        }
    }

    /// A matrix in a plain type, perhaps transposed.
    private func widen(_ floats: [Float], rows: Int, columns: Int, to made: nt_type, at address: UnsafeMutableRawPointer, transposed: Bool) {
        let ordered = !transposed ? floats : [Float](unsafeUninitializedCapacity: floats.count) { target, count in
            for row in 0..<rows {
                for column in 0..<columns { target[column * rows + row] = floats[row * columns + column] }
            }
            count = floats.count
        }
        switch made {
        case NT_F16: nt_f32_to_f16(ordered, address.assumingMemoryBound(to: UInt16.self), ordered.count)
        case NT_BF16: nt_f32_to_bf16(ordered, address.assumingMemoryBound(to: UInt16.self), ordered.count)
        default: address.copyMemory(from: ordered, byteCount: ordered.count * 4)
        }
    }

    package func linearPerHead(_ x: HeadColumns, _ matrices: HeadMatrices, into y: HeadColumns) {
        let stored = unsafeDowncast(matrices.storage, to: CPUHeadMatrices.self)
        let rows = x.tensor.rows, inputs = matrices.inputs, outputs = matrices.outputs, heads = matrices.heads
        let type = stored.type == NT_BF16 && configuration.precision != .float32 ? NT_ACT_BF16 : NT_ACT_F32
        guard rows > 0, let input = narrow(.plain(x.tensor), width: x.tensor.columns, to: type, nil),
            scratch.reserve(worker: nt_linear_scratch_bytes(type, stored.type, rows, inputs))
        else { return }
        let element = type == NT_ACT_BF16 ? 2 : 4
        // A few heads' matrices are cut along their outputs, to have work for all threads.
        let step = heads >= pool.threadCount * 4 ? outputs : max(64, (outputs / 4 + 63) / 64 * 64)
        let chunks = (outputs + step - 1) / step, scratch = scratch.workerBases
        pool.parallelFor(heads * chunks) { item, worker in
            let head = item / chunks, begin = item % chunks * step
            var arguments = nt_linear_args()
            arguments.x = input.base + (x.offset + head * x.stride) * element
            arguments.x_stride = input.stride
            arguments.x_type = input.type
            arguments.w = stored.data[head]
            arguments.w_type = stored.type
            arguments.m = rows
            arguments.n = outputs
            arguments.k = inputs
            arguments.n_begin = begin
            arguments.n_end = min(outputs, begin + step)
            arguments.y = y.tensor.floats + y.offset + head * y.stride
            arguments.y_stride = y.tensor.columns
            arguments.scratch = scratch[worker]
            nt_linear(&arguments)
        }
    }
}
