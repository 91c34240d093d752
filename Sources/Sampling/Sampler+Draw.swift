#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

extension Sampler {
    /// Stages 9 to 12: cuts the distribution down and draws by inverting the cumulative sum in ascending id order.
    /// - Parameters:
    ///   - best: the largest logit; `scratch.maxima` holds the blocks' maxima.
    ///   - uniform: in [0, 1).
    func draw(_ row: UnsafeBufferPointer<Float>, best: Float, plan: SamplingPlan, uniform: Double) -> Int32 {
        // min_p and top-n-sigma are floors under the logits.
        var floor = -Float.infinity
        if plan.minP > 0 { floor = max(floor, best + Float(plan.temperature * log(plan.minP))) }
        if plan.topNSigma > 0 { floor = max(floor, best - Float(plan.topNSigma * RowKernels.deviation(row))) }
        floor = min(floor, best)

        let cutsByMass = plan.topP < 1 || plan.typicalP < 1
        if plan.topK > 0, plan.topK < row.count {
            let count = gatherTop(plan.topK, of: row, floor: floor)
            return drawFromCandidates(count, best: best, plan: plan, fullMass: nil, uniform: uniform)
        }
        if floor > -.infinity || plan.typicalP < 1 {
            let count = gather(row, from: floor)
            return drawFromCandidates(count, best: best, plan: plan, fullMass: nil, uniform: uniform)
        }
        let total = RowKernels.softmaxWeights(
            row, best: best, inverseTemperature: plan.inverseTemperature, into: scratch.weights, sums: scratch.sums)
        if !cutsByMass { return drawFromAll(row, total: total, uniform: uniform) }
        // The nucleus lies among the best: try those within e^-4 of the best, e^-8, e^-16, then all.
        var reach = 4.0
        while true {
            let count = gather(row, from: best - Float(plan.temperature * reach))
            var mass = 0.0
            for i in 0..<count { mass += Double(scratch.weights[Int(scratch.ids[i])]) }
            if mass >= plan.topP * total || reach == .infinity {
                return drawFromCandidates(count, best: best, plan: plan, fullMass: total, uniform: uniform)
            }
            reach = reach < 16 ? reach * 2 : .infinity
        }
    }

    /// Collects ids and logits at or above `floor`, in id order, skipping blocks below it.
    /// - Returns: how many; -inf is never among them.
    private func gather(_ row: UnsafeBufferPointer<Float>, from floor: Float) -> Int {
        let lowest = max(floor, -.greatestFiniteMagnitude)
        var count = 0
        var b = 0
        while b * RowKernels.block < row.count {
            if scratch.maxima[b] >= lowest {
                for i in b * RowKernels.block..<min(row.count, (b + 1) * RowKernels.block) where row[i] >= lowest {
                    scratch.ids[count] = Int32(truncatingIfNeeded: i)
                    scratch.logits[count] = row[i]
                    count += 1
                }
            }
            b += 1
        }
        return count
    }

    /// Candidates no smaller than the k-th largest logit; ties survive. The k-th largest block maximum bounds that logit from below, so
    /// only about k blocks are looked into.
    func gatherTop(_ k: Int, of row: UnsafeBufferPointer<Float>, floor: Float) -> Int {
        let blocks = (row.count + RowKernels.block - 1) / RowKernels.block
        var bound = floor
        if k <= blocks {
            scratch.keys.update(from: scratch.maxima, count: blocks)
            bound = max(bound, Selection.kthLargest(scratch.keys, count: blocks, k: k))
        }
        let count = gather(row, from: bound)
        if count <= k { return count }
        scratch.keys.update(from: scratch.logits, count: count)
        let threshold = Selection.kthLargest(scratch.keys, count: count, k: k)
        var kept = 0
        for i in 0..<count where scratch.logits[i] >= threshold {
            scratch.ids[kept] = scratch.ids[i]
            scratch.logits[kept] = scratch.logits[i]
            kept += 1
        }
        return kept
    }

    /// - Parameter fullMass: what top_p is a share of, if the candidates are only the best part of the distribution.
    private func drawFromCandidates(_ candidates: Int, best: Float, plan: SamplingPlan, fullMass: Double?, uniform: Double) -> Int32 {
        var count = candidates
        for i in 0..<count { scratch.weights[i] = RowKernels.exp((scratch.logits[i] - best) * plan.inverseTemperature) }
        if plan.typicalP < 1 { count = keepTypical(count, share: plan.typicalP) }
        if plan.topP < 1 {
            scratch.keys.update(from: scratch.weights, count: count)
            for i in 0..<count { scratch.logits[i] = scratch.weights[i] }
            count = keepMass(count, target: plan.topP * (fullMass ?? mass(count)))
        }
        let goal = uniform * mass(count)
        var sum = 0.0
        for i in 0..<count {
            sum += Double(scratch.weights[i])
            if sum > goal { return scratch.ids[i] }
        }
        return lastWithMass(count)
    }

    private func mass(_ count: Int) -> Double {
        var sum = 0.0
        for i in 0..<count { sum += Double(scratch.weights[i]) }
        return sum
    }

    /// Reached only if rounding puts the goal at the very end.
    private func lastWithMass(_ count: Int) -> Int32 {
        var i = count - 1
        while i > 0, scratch.weights[i] == 0 { i -= 1 }
        return scratch.ids[i]
    }

    /// Locally typical sampling (Meister et al. 2022): the candidates whose surprise is nearest to the entropy, until `share` of the mass.
    private func keepTypical(_ count: Int, share: Double) -> Int {
        let total = mass(count)
        var entropy = 0.0
        for i in 0..<count where scratch.weights[i] > 0 {
            let p = Double(scratch.weights[i]) / total
            entropy -= p * log(p)
        }
        for i in 0..<count {
            let surprise = scratch.weights[i] > 0 ? -log(Double(scratch.weights[i]) / total) : .infinity
            let key = -Float(abs(surprise - entropy))
            scratch.logits[i] = key
            scratch.keys[i] = key
        }
        return keepMass(count, target: share * total)
    }

    /// Keeps the candidates with the largest keys until their mass reaches `target`, at least one, equal keys by lower id.
    /// On entry `scratch.logits` and `scratch.keys` both hold the keys; ids and weights stay in id order.
    private func keepMass(_ count: Int, target: Double) -> Int {
        scratch.mass.update(from: scratch.weights, count: count)
        let (threshold, massAbove) = Selection.massThreshold(keys: scratch.keys, weights: scratch.mass, count: count, target: target)
        var ties = massAbove
        var kept = 0
        for i in 0..<count {
            let key = scratch.logits[i]
            if key < threshold { continue }
            if key == threshold {
                if ties >= target { continue }
                ties += Double(scratch.weights[i])
            }
            scratch.ids[kept] = scratch.ids[i]
            scratch.weights[kept] = scratch.weights[i]
            kept += 1
        }
        return kept
    }

    /// The whole vocabulary, block by block.
    private func drawFromAll(_ row: UnsafeBufferPointer<Float>, total: Double, uniform: Double) -> Int32 {
        let goal = uniform * total
        var sum = 0.0
        var last = 0
        var b = 0
        while b * RowKernels.block < row.count {
            let next = sum + Double(scratch.sums[b])
            if next > goal {
                for i in b * RowKernels.block..<min(row.count, (b + 1) * RowKernels.block) where scratch.weights[i] > 0 {
                    sum += Double(scratch.weights[i])
                    last = i
                    if sum > goal { return Int32(truncatingIfNeeded: i) }
                }
                return Int32(truncatingIfNeeded: last)  // the block's own sum was rounded up
            }
            sum = next
            b += 1
        }
        // All sums were rounded down: the last token with any mass.
        var i = row.count - 1
        while i > 0, scratch.weights[i] == 0 { i -= 1 }
        return Int32(truncatingIfNeeded: i)
    }
}
