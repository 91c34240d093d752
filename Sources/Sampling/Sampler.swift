/// Why no token could be chosen from a row; concerns that row's request only.
package enum SamplingFailure: Error, Sendable, Equatable {
    /// NaN or +inf among the logits.
    case corruptLogits
    /// Masks left nothing.
    case noTokenAllowed
    /// The constraint refused a token that its own mask had allowed.
    case constraintViolated
}

package struct SampledToken: Sendable {
    package var token: Int32
    /// If the plan asks for them.
    package var logprobs: PositionLogprobs?
}

/// Chooses tokens, one row of logits at a time. Holds the scratch memory, so one per worker thread; nothing is allocated once the
/// vocabulary's size has been seen (except for reported logprobs).
///
/// Stages, in vLLM's order: constraint mask, snapshot for logprobs, allowed ids, bad words, min_tokens, bias, penalties (repetition,
/// frequency, presence), greedy choice or temperature, min_p and top-n-sigma, top_k, typical_p, top_p, draw.
///
/// Not Sendable by itself: the engine hands each worker its own.
package final class Sampler {
    var scratch = RowScratch()

    package init() {}

    /// A copy of the row in the sampler's own memory, valid until the next one: for several samples of one row.
    package func duplicate(_ row: UnsafeMutableBufferPointer<Float>) -> UnsafeMutableBufferPointer<Float> {
        scratch.reserve(row.count)
        let copy = UnsafeMutableBufferPointer(start: scratch.spare, count: row.count)
        _ = copy.update(fromContentsOf: row)
        return copy
    }

    /// - Parameters:
    ///   - row: `[vocabulary]`, overwritten.
    ///   - seen: kept by the caller if `plan.usesSeenTokens`.
    ///   - output: tokens generated so far; their number is the position of the draw.
    ///   - seed: of this sample.
    package func sample(
        _ row: UnsafeMutableBufferPointer<Float>, plan: SamplingPlan, seen: borrowing SeenTokens, output: UnsafeBufferPointer<Int32>,
        seed: UInt64, constraint: (any TokenConstraint)? = nil
    ) throws(SamplingFailure) -> SampledToken {
        scratch.reserve(row.count)
        if let constraint { mask(row, by: constraint) }
        let changes = plan.changesRow(at: output.count)
        let reports = plan.logprobs != nil
        if reports, changes { scratch.keepCopy(of: row) }
        if changes { process(row, plan, seen, output) }

        let logits = UnsafeBufferPointer(row)
        guard let best = RowKernels.scan(logits, maxima: scratch.maxima) else { throw .corruptLogits }
        guard best > -.infinity else { throw .noTokenAllowed }
        let token: Int32
        if plan.isGreedy {
            token = RowKernels.index(of: best, in: logits, maxima: scratch.maxima)
        } else {
            token = draw(logits, best: best, plan: plan, uniform: Philox.uniform(seed: seed, position: output.count))
        }
        guard reports else { return SampledToken(token: token, logprobs: nil) }
        let raw = changes ? UnsafeBufferPointer(start: scratch.copy, count: row.count) : logits
        return SampledToken(
            token: token, logprobs: try logprobs(of: raw, chosen: token, top: plan.logprobs ?? 0, requested: plan.logprobTokenIDs))
    }
}
