import Sampling

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The sampling stages written plainly in doubles with full sorts: what `Sampler` must agree with.
struct ReferenceSampler {
    var parameters: SamplingParameters
    /// Moves every cut a little, to find rows where rounding may decide.
    var nudge = 1.0

    /// Stages 2 to 5.
    func processed(_ row: [Float], prompt: [Int32], output: [Int32]) -> [Double] {
        var logits = row.map(Double.init)
        let p = parameters
        if let allowed = p.allowedTokenIDs {
            for token in logits.indices where !allowed.contains(Int32(token)) { logits[token] = -.infinity }
        }
        for word in p.badWords where output.count >= word.count - 1 && output.suffix(word.count - 1).elementsEqual(word.dropLast()) {
            logits[Int(word.last!)] = -.infinity
        }
        if output.count < p.minTokens {
            for token in p.stopTokenIDs + (p.ignoreEOS ? [] : p.eosTokenIDs) { logits[Int(token)] = -.infinity }
        }
        for (token, bias) in p.logitBias { logits[Int(token)] += max(-100, min(100, bias)) }
        for token in logits.indices {
            let count = output.filter { $0 == Int32(token) }.count
            if count > 0 || prompt.contains(Int32(token)) {
                logits[token] = logits[token] > 0 ? logits[token] / p.repetitionPenalty : logits[token] * p.repetitionPenalty
            }
            logits[token] -= p.frequencyPenalty * Double(count)
            if count > 0 { logits[token] -= p.presencePenalty }
        }
        return logits
    }

    /// Stages 9 to 11: the probabilities drawn from.
    func probabilities(_ processed: [Double]) -> [Double] {
        let p = parameters
        var logits = processed
        let best = logits.max()!
        if let sigma = p.topNSigma, sigma > 0 {
            let finite = logits.filter { $0 > -.infinity }
            let mean = finite.reduce(0, +) / Double(finite.count)
            let deviation = (finite.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(finite.count)).squareRoot()
            for i in logits.indices where logits[i] < best - sigma * deviation * nudge { logits[i] = -.infinity }
        }
        logits = logits.map { $0 / p.effectiveTemperature }
        let top = logits.max()!
        for i in logits.indices where exp(logits[i] - top) < p.minP * nudge { logits[i] = -.infinity }
        if p.topK > 0, p.topK < logits.count {
            let threshold = logits.sorted(by: >)[p.topK - 1]
            for i in logits.indices where logits[i] < threshold { logits[i] = -.infinity }
        }
        var weights = Self.normalised(logits.map { exp($0 - top) })
        if p.typicalP < 1 {
            let entropy = -weights.reduce(0) { $0 + ($1 > 0 ? $1 * log($1) : 0) }
            weights = Self.kept(weights, share: p.typicalP * nudge) { abs(-log($0) - entropy) }
        }
        if p.topP < 1 { weights = Self.kept(weights, share: p.topP * nudge) { -$0 } }
        return weights
    }

    private static func normalised(_ weights: [Double]) -> [Double] {
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }

    /// Keeps tokens in ascending order of `key` until their mass reaches `share`.
    private static func kept(_ weights: [Double], share: Double, key: (Double) -> Double) -> [Double] {
        let order = weights.indices.filter { weights[$0] > 0 }.sorted { (key(weights[$0]), $0) < (key(weights[$1]), $1) }
        var result = Array(repeating: 0.0, count: weights.count)
        var mass = 0.0
        for token in order {
            if mass >= share { break }
            result[token] = weights[token]
            mass += weights[token]
        }
        return normalised(result)
    }

    /// Whether `token` is what `uniform` selects, give or take rounding at its borders.
    static func selects(_ token: Int32, _ probabilities: [Double], _ uniform: Double, tolerance: Double = 2e-5) -> Bool {
        guard probabilities[Int(token)] > 0 else { return false }
        let before = probabilities[..<Int(token)].reduce(0, +)
        return uniform >= before - tolerance && uniform <= before + probabilities[Int(token)] + tolerance
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Samples from a copy of `row`.
func sample(
    _ sampler: Sampler, _ row: [Float], _ parameters: SamplingParameters, prompt: [Int32] = [], output: [Int32] = [], seed: UInt64 = 0,
    constraint: (any TokenConstraint)? = nil
) throws(SamplingFailure) -> SampledToken {
    var copy = row
    let plan = SamplingPlan(parameters)
    let seen = plan.seen(prompt: prompt, output: output)
    return try copy.withUnsafeMutableBufferPointer { row throws(SamplingFailure) in
        try output.withUnsafeBufferPointer { output throws(SamplingFailure) in
            try sampler.sample(row, plan: plan, seen: seen, output: output, seed: seed, constraint: constraint)
        }
    }
}
