/// The tokens of one sequence in this step, and the pages in which a layer keeps its state.
struct CPUStatePages {
    /// Positions of the tokens.
    let positions: Range<Int>
    /// Row of the first token in the step's tensors.
    let firstRow: Int
    private let cache: CPUCache
    private let place: Int
    private let blocks: UnsafePointer<Int32>

    init(_ plan: borrowing CPUStepPlan, _ cache: CPUCache, sequence: Int, group: Int, place: Int) {
        firstRow = Int(plan.queryStarts[sequence])
        let first = Int(plan.positions[firstRow])
        positions = first..<first + Int(plan.queryStarts[sequence + 1]) - firstRow
        self.cache = cache
        self.place = place
        let tables = plan.groups[group]
        blocks = UnsafePointer(tables.blockTables.base + sequence * tables.maxBlocks)
    }

    /// The page with the state after the step before; nil where the text begins, as pages are not cleared.
    var past: UnsafeMutablePointer<Float>? { positions.lowerBound == 0 ? nil : page(of: positions.lowerBound - 1) }

    func page(of position: Int) -> UnsafeMutablePointer<Float> { cache.state(place, block: blocks[position / cache.layout.blockSize]) }

    /// Calls `body` for the tokens of each block with the page that takes the state after them.
    func forBlocks(_ body: (Range<Int>, UnsafeMutablePointer<Float>) -> Void) {
        let blockSize = cache.layout.blockSize
        var begin = positions.lowerBound
        while begin < positions.upperBound {
            let end = min(positions.upperBound, (begin / blockSize + 1) * blockSize)
            body(begin..<end, page(of: begin))
            begin = end
        }
    }
}

/// A causal depthwise convolution over one sequence, on some of its channels. The last `taps - 1` inputs are kept in a state, each at its
/// position modulo that many.
struct CPUCausalConvolution {
    let taps: Int
    let channels: Int
    /// `[taps, weightStride]`, from the first of the channels on.
    let weights: UnsafePointer<Float>
    let weightStride: Int
    let bias: UnsafePointer<Float>?
    /// Inputs of this step's tokens, `stride` apart.
    let inputs: UnsafePointer<Float>
    let stride: Int
    /// Position of the first of them.
    let first: Int
    /// Inputs before, `[taps - 1, pastStride]`; nil at the beginning of a text.
    let past: UnsafePointer<Float>?
    let pastStride: Int

    private func input(_ position: Int) -> UnsafePointer<Float>? {
        if position >= first { return inputs + (position - first) * stride }
        return position < 0 ? nil : past.map { $0 + position % (taps - 1) * pastStride }
    }

    /// `out[c] = bias[c] + Σ weights[j, c] * input[position - taps + 1 + j, c]`, summed in this order.
    func callAsFunction(_ position: Int, into out: UnsafeMutablePointer<Float>) {
        if let bias { out.update(from: bias, count: channels) } else { out.update(repeating: 0, count: channels) }
        for tap in 0..<taps {
            guard let row = input(position - taps + 1 + tap) else { continue }
            let weights = weights + tap * weightStride
            for channel in 0..<channels { out[channel] += weights[channel] * row[channel] }
        }
    }

    /// Writes the last inputs before `end` to a state laid out as `past`.
    func store(before end: Int, to state: UnsafeMutablePointer<Float>) {
        for position in max(0, end - taps + 1)..<end {
            let slot = state + position % (taps - 1) * pastStride
            if let row = input(position), row != UnsafePointer(slot) { slot.update(from: row, count: channels) }
        }
    }
}
