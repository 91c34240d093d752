import CKernels
import Glibc

/// Layers with a state. A sequence's tokens are taken one by one, so that no bit depends on how its text was cut into steps; sequences,
/// channels and heads run side by side.
extension CPUBackend {
    // MARK: Short convolution

    package func shortConvolution(_ projection: Tensor, _ spec: ShortConvolutionSpec, into out: Tensor) {
        guard let cache else { return }
        let channels = spec.channels, chunk = 256, chunks = (channels + chunk - 1) / chunk
        pool.parallelFor(plan.sequenceLengths.count * chunks) { item, _ in
            let pages = CPUStatePages(self.plan, cache, sequence: item / chunks, group: spec.cacheGroup, place: spec.cacheLayer)
            let first = item % chunks * chunk
            self.shortConvolution(projection, spec, pages, first..<min(channels, first + chunk), into: out)
        }
    }

    private func shortConvolution(_ projection: Tensor, _ spec: ShortConvolutionSpec, _ pages: CPUStatePages, _ channels: Range<Int>, into out: Tensor) {
        let first = channels.lowerBound, count = channels.count, stride = projection.columns
        let inputGates = projection.floats + pages.firstRow * stride + first
        let outputGates = inputGates + spec.channels, inputs = inputGates + 2 * spec.channels
        for row in 0..<pages.positions.count { nt_multiply(inputs + row * stride, inputGates + row * stride, count) }
        let convolve = CPUCausalConvolution(
            taps: spec.taps, channels: count, weights: spec.weights.floats + first, weightStride: spec.channels, bias: spec.bias.map { $0.floats + first },
            inputs: inputs, stride: stride, first: pages.positions.lowerBound, past: pages.past.map { UnsafePointer($0 + first) }, pastStride: spec.channels)
        for (row, position) in pages.positions.enumerated() {
            let result = out.floats + (pages.firstRow + row) * out.columns + first
            convolve(position, into: result)
            nt_multiply(result, outputGates + row * stride, count)
        }
        pages.forBlocks { positions, page in convolve.store(before: positions.upperBound, to: page + first) }
    }

    // MARK: Gated delta net

    package func deltaNet(_ projection: Tensor, _ spec: DeltaNetSpec, into out: Tensor) {
        let shape = spec.shape, scratchBytes = (shape.channelsPerKey + shape.valueDimension) * 4
        guard let cache, scratch.reserve(worker: scratchBytes) else { return }
        let scratch = scratch.workerBases
        pool.parallelFor(plan.sequenceLengths.count * shape.keyHeads) { item, worker in
            guard let memory = scratch[worker] else { return }
            let pages = CPUStatePages(self.plan, cache, sequence: item / shape.keyHeads, group: spec.cacheGroup, place: spec.cacheLayer)
            self.deltaNet(projection, spec, pages, head: item % shape.keyHeads, into: out, memory.assumingMemoryBound(to: Float.self))
        }
    }

    /// One key head of one sequence.
    /// - Parameter scratch: `[channelsPerKey + valueDimension]`.
    private func deltaNet(
        _ projection: Tensor, _ spec: DeltaNetSpec, _ pages: CPUStatePages, head: Int, into out: Tensor, _ scratch: UnsafeMutablePointer<Float>
    ) {
        let shape = spec.shape, channels = shape.channelsPerKey, group = shape.valuesPerKey
        let offset = head * shape.stateElementsPerKey, stateOffset = offset + (shape.taps - 1) * channels
        let stateCount = group * shape.keyDimension * shape.valueDimension
        let rows = projection.floats + pages.firstRow * projection.columns
        let inputs = rows + head * shape.columnsPerKey, gates = inputs + channels
        let rates = rows + shape.keyHeads * shape.columnsPerKey + head * 2 * group
        let convolve = CPUCausalConvolution(
            taps: shape.taps, channels: channels, weights: spec.convolution.floats + head * channels, weightStride: shape.keyHeads * channels, bias: nil,
            inputs: inputs, stride: projection.columns, first: pages.positions.lowerBound, past: pages.past.map { UnsafePointer($0 + offset) },
            pastStride: channels)
        var past = pages.past
        pages.forBlocks { positions, page in
            let states = page + stateOffset
            if let past {
                if past != page { states.update(from: past + stateOffset, count: stateCount) }
            } else {
                states.update(repeating: 0, count: stateCount)
            }
            for position in positions {
                let row = position - pages.positions.lowerBound, columns = row * projection.columns
                convolve(position, into: scratch)
                nt_activate(NT_SILU, scratch, channels, nil, 0, 1, channels, nt_out(rows: scratch, stride: channels * 4, type: NT_ACT_F32))
                let result = out.floats + (pages.firstRow + row) * out.columns + head * group * shape.valueDimension
                self.step(spec, head: head, scratch, rates: rates + columns, states: states, into: result)
                let normed = nt_out(rows: result, stride: shape.valueDimension * 4, type: NT_ACT_F32)
                self.normRows(result, shape.valueDimension, group, width: shape.valueDimension, spec.outputNorm, 0, normed)
                nt_activate(NT_SILU, gates + columns, shape.valueDimension, result, shape.valueDimension, group, shape.valueDimension, normed)
            }
            convolve.store(before: positions.upperBound, to: page + offset)
            past = page
        }
    }

    /// One token of one key head: `S = d S + k (b (v - (d S)ᵀ k))ᵀ` and `y = Sᵀ q` for each of its value heads.
    /// - Parameters:
    ///   - mixed: query, key and values, changed in place; behind them `[valueDimension]` to work in.
    ///   - rates: update strengths, then decays of the value heads, as projected.
    ///   - states: `[valuesPerKey, keyDimension, valueDimension]`.
    private func step(
        _ spec: DeltaNetSpec, head: Int, _ mixed: UnsafeMutablePointer<Float>, rates: UnsafePointer<Float>, states: UnsafeMutablePointer<Float>,
        into out: UnsafeMutablePointer<Float>
    ) {
        let shape = spec.shape, group = shape.valuesPerKey, width = shape.valueDimension
        let query = mixed, key = mixed + shape.keyDimension, change = mixed + shape.channelsPerKey
        Self.toUnitLength(query, shape.keyDimension, times: 1 / Float(shape.keyDimension).squareRoot())
        Self.toUnitLength(key, shape.keyDimension, times: 1)
        for index in 0..<group {
            let state = states + index * shape.keyDimension * width, value = key + shape.keyDimension + index * width, y = out + index * width
            let decayInput = rates[group + index] + spec.decayBias.floats[head * group + index]
            let softplus = decayInput > 20 ? decayInput : log1pf(expf(decayInput))
            let decay = expf(-spec.decayRates.floats[head * group + index] * softplus)
            let strength = 1 / (1 + expf(-rates[index]))
            change.update(repeating: 0, count: width)
            for row in 0..<shape.keyDimension {
                nt_scale(state + row * width, state + row * width, decay, width)
                nt_add_scaled(change, state + row * width, -key[row], width)
            }
            nt_add(change, value, width)
            nt_scale(change, change, strength, width)
            y.update(repeating: 0, count: width)
            for row in 0..<shape.keyDimension {
                nt_add_scaled(state + row * width, change, key[row], width)
                nt_add_scaled(y, state + row * width, query[row], width)
            }
        }
    }

    /// `x *= factor / |x|`, as the reference guards against zeros.
    private static func toUnitLength(_ x: UnsafeMutablePointer<Float>, _ count: Int, times factor: Float) {
        var sum: Float = 0
        for index in 0..<count { sum += x[index] * x[index] }
        nt_scale(x, x, factor / (sum + 1e-6).squareRoot(), count)
    }
}
