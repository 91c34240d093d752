import CKernels

extension RoutingSpec {
    /// Floats of work space that `route` needs.
    var routingFloats: Int { 2 * experts + (groups?.count ?? 0) }

    /// Chooses a token's experts, best first; among equals the one of lowest number. Every choice is another expert, even where logits are NaN.
    /// - Parameters:
    ///   - logits: `[experts]`; changed.
    ///   - correction: `[experts]` or nil, added for the choice only.
    ///   - work: `routingFloats` floats.
    ///   - choice, weights: `[chosen]`, written.
    func route(
        _ logits: UnsafeMutablePointer<Float>, correction: UnsafePointer<Float>?, work: UnsafeMutablePointer<Float>,
        choice: UnsafeMutablePointer<Int32>, weights: UnsafeMutablePointer<Float>
    ) {
        let candidates = work
        switch scoring {
        case .softmax: nt_softmax_rows(logits, experts, 1, experts)
        case .sigmoid: nt_activate(NT_SIGMOID, logits, experts, nil, 0, 1, experts, nt_out(rows: logits, stride: 0, type: NT_ACT_F32))
        case .softmaxOfChosen: break
        case .sparseMixer(let jitter):
            mixSparsely(logits, jitter: jitter, left: candidates, near: candidates + experts, choice: choice, weights: weights)
            scaleWeights(weights)
            return
        }
        candidates.update(from: logits, count: experts)
        if let correction { nt_add(candidates, correction, experts) }
        if let groups { keepBestGroups(groups, candidates, scores: candidates + 2 * experts) }
        for rank in 0..<chosen {
            let expert = takeBest(candidates, choice, rank)
            choice[rank] = Int32(truncatingIfNeeded: expert)
            weights[rank] = logits[expert]
        }
        if scoring == .softmaxOfChosen { nt_softmax_rows(weights, chosen, 1, chosen) }
        scaleWeights(weights)
    }

    private func scaleWeights(_ weights: UnsafeMutablePointer<Float>) {
        if normalises {
            var sum: Float = 0
            for rank in 0..<chosen { sum += weights[rank] }
            sum += normaliserOffset
            for rank in 0..<chosen { weights[rank] /= sum }
        }
        if scale != 1 {
            for rank in 0..<chosen { weights[rank] *= scale }
        }
    }

    /// Index of the best candidate, which is then out of the race.
    private func takeBest(_ candidates: UnsafeMutablePointer<Float>, _ choice: UnsafeMutablePointer<Int32>, _ rank: Int) -> Int {
        var best = nt_argmax(candidates, experts)
        if !(candidates[best] > -.infinity) {
            // Nothing comparable is left: the first expert not chosen yet.
            best = 0
            while (0..<rank).contains(where: { Int(choice[$0]) == best }) { best += 1 }
        }
        candidates[best] = -.infinity
        return best
    }

    /// Rules out the experts of all but the best groups.
    private func keepBestGroups(_ groups: Groups, _ candidates: UnsafeMutablePointer<Float>, scores: UnsafeMutablePointer<Float>) {
        let size = experts / groups.count
        for group in 0..<groups.count {
            var first = -Float.infinity, second = -Float.infinity
            for expert in group * size..<(group + 1) * size {
                let candidate = candidates[expert]
                if candidate > first { (first, second) = (candidate, first) } else if candidate > second { second = candidate }
            }
            scores[group] = groups.score == .sumOfTwoBest && size > 1 ? first + second : first
        }
        // What is left of the scores after the best are struck out is what is not wanted.
        for _ in 0..<groups.chosen { scores[nt_argmax(scores, groups.count)] = .nan }
        for group in 0..<groups.count where !scores[group].isNaN {
            (candidates + group * size).update(repeating: -.infinity, count: size)
        }
    }

    /// The sparse mixer without the noise of its training: see `Scoring.sparseMixer`.
    private func mixSparsely(
        _ logits: UnsafePointer<Float>, jitter: Float, left: UnsafeMutablePointer<Float>, near: UnsafeMutablePointer<Float>,
        choice: UnsafeMutablePointer<Int32>, weights: UnsafeMutablePointer<Float>
    ) {
        left.update(from: logits, count: experts)
        for rank in 0..<chosen {
            near.update(from: left, count: experts)
            let expert = takeBest(left, choice, rank)
            let best = logits[expert]
            for other in 0..<experts where (best - logits[other]) / max(abs(logits[other]), best) > 2 * jitter { near[other] = -.infinity }
            choice[rank] = Int32(truncatingIfNeeded: expert)
            weights[rank] = 1 / nt_sum_exp(near, experts, best)
        }
    }
}
