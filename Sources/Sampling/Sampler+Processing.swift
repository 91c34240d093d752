extension Sampler {
    /// Stage 0: -inf for all that the constraint forbids.
    func mask(_ row: UnsafeMutableBufferPointer<Float>, by constraint: any TokenConstraint) {
        let words = UnsafeMutableBufferPointer(start: scratch.mask, count: (row.count + 63) / 64)
        constraint.fillMask(words)
        for (index, word) in words.enumerated() where word != .max {
            let start = index * 64
            let end = min(start + 64, row.count)
            if word == 0 {
                for i in start..<end { row[i] = -.infinity }
            } else {
                var bits = word
                for i in start..<end {
                    if bits & 1 == 0 { row[i] = -.infinity }
                    bits >>= 1
                }
            }
        }
    }

    /// Stages 2 to 5.
    func process(
        _ row: UnsafeMutableBufferPointer<Float>, _ plan: SamplingPlan, _ seen: borrowing SeenTokens, _ output: UnsafeBufferPointer<Int32>
    ) {
        if let allowed = plan.allowed {
            for (index, token) in allowed.enumerated() { scratch.keys[index] = row[Int(token)] }
            row.update(repeating: -.infinity)
            for (index, token) in allowed.enumerated() { row[Int(token)] = scratch.keys[index] }
        }
        for word in plan.badWords where Self.wouldComplete(word, output) {
            row[Int(word[word.count - 1])] = -.infinity
        }
        if output.count < plan.minTokens {
            for token in plan.enders { row[Int(token)] = -.infinity }
        }
        for (token, value) in plan.bias { row[Int(token)] += value }
        if plan.usesSeenTokens { Self.penalise(row, plan, seen) }
    }

    private static func wouldComplete(_ word: [Int32], _ output: UnsafeBufferPointer<Int32>) -> Bool {
        let head = word.count - 1
        guard head <= output.count else { return false }
        for i in 0..<head where word[i] != output[output.count - head + i] { return false }
        return true
    }

    private static func penalise(_ row: UnsafeMutableBufferPointer<Float>, _ plan: SamplingPlan, _ seen: borrowing SeenTokens) {
        let repetition = plan.repetitionPenalty
        for entry in seen.entries where Int(entry.token) < row.count {
            var logit = row[Int(entry.token)]
            if repetition != 1 { logit = logit > 0 ? logit / repetition : logit * repetition }
            if entry.outputCount > 0 {
                logit -= plan.frequencyPenalty * Float(entry.outputCount)
                logit -= plan.presencePenalty
            }
            row[Int(entry.token)] = logit
        }
    }
}
