#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

extension Sampler {
    /// Log-softmax figures of one row; the row is not changed.
    /// - Parameter top: how many of the best; -1 is all.
    package func logprobs(
        of row: UnsafeBufferPointer<Float>, chosen: Int32, top: Int, requested: [Int32] = []
    ) throws(SamplingFailure) -> PositionLogprobs {
        scratch.reserve(row.count)
        guard let best = RowKernels.scan(row, maxima: scratch.maxima) else { throw .corruptLogits }
        guard best > -.infinity else { throw .noTokenAllowed }
        let sum = RowKernels.softmaxWeights(row, best: best, inverseTemperature: 1, into: scratch.weights, sums: scratch.sums)
        let normaliser = Double(best) + log(sum)
        func entry(_ token: Int32) -> TokenLogprob {
            let logit = row[Int(token)]
            return TokenLogprob(
                token: token, logprob: Float(Double(logit) - normaliser),
                rank: Int32(truncatingIfNeeded: 1 + RowKernels.count(above: logit, in: row)))
        }
        return PositionLogprobs(
            chosen: entry(chosen), top: topEntries(row, top < 0 ? row.count : min(top, row.count), normaliser),
            requested: requested.map(entry))
    }

    private func topEntries(_ row: UnsafeBufferPointer<Float>, _ count: Int, _ normaliser: Double) -> [TokenLogprob] {
        if count == 0 { return [] }
        var entries: [TokenLogprob] = []
        if count == row.count {
            entries = row.indices.map { TokenLogprob(token: Int32(truncatingIfNeeded: $0), logprob: row[$0], rank: 0) }
        } else {
            let found = gatherTop(count, of: row, floor: -.infinity)
            entries = (0..<found).map { TokenLogprob(token: scratch.ids[$0], logprob: scratch.logits[$0], rank: 0) }
        }
        entries.sort { $0.logprob != $1.logprob ? $0.logprob > $1.logprob : $0.token < $1.token }
        entries.removeLast(max(0, entries.count - count))
        var previous = Float.nan
        var rank: Int32 = 0
        for i in entries.indices {
            let logit = entries[i].logprob
            if logit != previous { rank = Int32(truncatingIfNeeded: i + 1) }
            previous = logit
            entries[i].rank = rank
            entries[i].logprob = Float(Double(logit) - normaliser)
        }
        return entries
    }
}
