import Sampling
import Testing

@Suite struct SamplerTests {
    static func row(_ count: Int, spread: Float = 4, _ random: inout SplitMix) -> [Float] {
        // Peaked like a language model's: a normal with a few outliers, and some ties.
        (0..<count).map { _ in
            var x: Float = 0
            for _ in 0..<4 { x += Float.random(in: -1...1, using: &random) }
            if Int.random(in: 0..<50, using: &random) == 0 { x += 3 }
            return Int.random(in: 0..<10, using: &random) == 0 ? (x * spread).rounded() : x * spread
        }
    }

    /// One stage at a time and all together, over odd sizes.
    enum Stage: String, CaseIterable, Sendable {
        case none, topK, topP, topKTopP, minP, sigma, typical, typicalTopP, penalties, bias, allowed, badWords, minTokens, everything
    }

    static func parameters(_ stage: Stage, _ count: Int, _ random: inout SplitMix) -> SamplingParameters {
        var p = SamplingParameters()
        func token(_ random: inout SplitMix) -> Int32 { Int32.random(in: 0..<Int32(count), using: &random) }
        func has(_ stages: Stage...) -> Bool { stages.contains(stage) || stage == .everything }
        p.temperature = [0.3, 0.7, 1, 1.6].randomElement(using: &random)!
        if has(.topK, .topKTopP) { p.topK = [1, 2, 5, 40, 300, 5000].randomElement(using: &random)! }
        if has(.topP, .topKTopP, .typicalTopP) { p.topP = [0.05, 0.5, 0.9, 0.95, 0.999].randomElement(using: &random)! }
        if has(.minP) { p.minP = [0.01, 0.1, 0.5, 1].randomElement(using: &random)! }
        if has(.sigma) { p.topNSigma = [0.5, 1, 2].randomElement(using: &random)! }
        if has(.typical, .typicalTopP) { p.typicalP = [0.2, 0.5, 0.9].randomElement(using: &random)! }
        if has(.penalties) {
            p.repetitionPenalty = 1.3
            p.frequencyPenalty = 0.7
            p.presencePenalty = -0.9
        }
        if has(.bias) { for _ in 0..<5 { p.logitBias[token(&random)] = Double.random(in: -3...150, using: &random) } }
        if has(.allowed) { p.allowedTokenIDs = (0..<max(3, count / 3)).map { _ in token(&random) } }
        if has(.minTokens) {
            p.minTokens = 6
            p.eosTokenIDs = [token(&random)]
            p.stopTokenIDs = [token(&random), token(&random)]
        }
        return p
    }

    @Test(arguments: Stage.allCases)
    func agreesWithReference(stage: Stage) throws {
        let seed: UInt64 = 42
        var random = SplitMix(seed)
        let sampler = Sampler()
        for count in [1, 7, 64, 65, 130, 1000, 4099] {
            for trial in 0..<25 {
                let row = Self.row(count, spread: [0.3, 4][trial % 2], &random)
                var p = Self.parameters(stage, count, &random)
                let prompt = (0..<10).map { _ in Int32.random(in: 0..<Int32(count), using: &random) }
                let output = (0..<Int.random(in: 0..<12, using: &random)).map { _ in Int32.random(in: 0..<Int32(min(count, 9)), using: &random) }
                if stage == .badWords || stage == .everything, let last = output.last {
                    p.badWords = [[Int32(count - 1)], [last, Int32(count / 2)], [last, last, 0]]
                }
                try check(sampler, row, p, prompt, output, "count \(count), trial \(trial), seed \(seed)")
            }
        }
    }

    private func check(
        _ sampler: Sampler, _ row: [Float], _ p: SamplingParameters, _ prompt: [Int32], _ output: [Int32], _ comment: Comment
    ) throws {
        let processed = ReferenceSampler(parameters: p).processed(row, prompt: prompt, output: output)
        if processed.max()! == -.infinity {
            #expect(throws: SamplingFailure.noTokenAllowed, comment) { try sample(sampler, row, p, prompt: prompt, output: output) }
            return
        }
        // Greedy: the first of the best.
        var greedy = p
        greedy.temperature = 0
        let choice = try sample(sampler, row, greedy, prompt: prompt, output: output).token
        let best = processed.max()!
        #expect(processed[Int(choice)] >= best - 1e-5, comment)

        for seed in 0..<8 as Range<UInt64> {
            let token = try sample(sampler, row, p, prompt: prompt, output: output, seed: seed).token
            let uniform = Philox.uniform(seed: seed, position: output.count)
            let agrees = [1.0, 0.99999, 1.00001].contains { nudge in
                let probabilities = ReferenceSampler(parameters: p, nudge: nudge).probabilities(processed)
                return ReferenceSampler.selects(token, probabilities, uniform)
            }
            #expect(agrees, "\(comment), draw \(seed), token \(token)")
        }
    }

    /// Draws over many positions follow the distribution.
    @Test(arguments: [1.0, 0.9], [0, 20])
    func chiSquare(topP: Double, topK: Int) throws {
        var random = SplitMix(3)
        let row = Self.row(40, spread: 1, &random)
        var p = SamplingParameters()
        p.topP = topP
        p.topK = topK
        let probabilities = ReferenceSampler(parameters: p).probabilities(row.map(Double.init))
        let sampler = Sampler()
        let draws = 20_000
        var counts = Array(repeating: 0.0, count: 40)
        for seed in 0..<draws { counts[Int(try sample(sampler, row, p, seed: UInt64(seed)).token)] += 1 }
        var chiSquare = 0.0
        var freedom = -1.0
        for (count, probability) in zip(counts, probabilities) {
            if probability == 0 {
                #expect(count == 0)
                continue
            }
            let expected = probability * Double(draws)
            chiSquare += (count - expected) * (count - expected) / expected
            freedom += 1
        }
        // Wilson-Hilferty's normal approximation: below 4 sigma.
        let z = (cbrt(chiSquare / freedom) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)).squareRoot()
        #expect(z < 4, "chi-square \(chiSquare) at \(freedom) degrees of freedom")
    }

    private func cbrt(_ x: Double) -> Double {
        var y = x > 0 ? x : 0
        for _ in 0..<60 where y > 0 { y = (2 * y + x / (y * y)) / 3 }
        return y
    }

    @Test func seedAndPositionDecideAlone() throws {
        var random = SplitMix(9)
        let row = Self.row(500, spread: 0.5, &random)
        let p = SamplingParameters()
        func stream(_ seed: UInt64, _ sampler: Sampler) throws -> [Int32] {
            var output: [Int32] = []
            for _ in 0..<30 { output.append(try sample(sampler, row, p, output: output, seed: seed).token) }
            return output
        }
        let a = try stream(1, Sampler())
        let shared = Sampler()
        _ = try stream(2, shared)
        #expect(try stream(1, shared) == a)
        #expect(Set(try (1...20).map { try stream($0, shared) }).count == 20)
    }

    @Test func corruptRowsAreErrors() throws {
        let sampler = Sampler()
        for count in [3, 64, 200] {
            for bad in [Float.nan, -.nan, .infinity] {
                for position in [0, count / 2, count - 1] {
                    var row = Array(repeating: Float(1), count: count)
                    row[position] = bad
                    for temperature in [0.0, 1.0] {
                        var p = SamplingParameters()
                        p.temperature = temperature
                        #expect(throws: SamplingFailure.corruptLogits) { try sample(sampler, row, p) }
                        p.logprobs = 2
                        p.allowedTokenIDs = [1]  // hides the choice, not the report
                        #expect(throws: SamplingFailure.corruptLogits) { try sample(sampler, row, p) }
                    }
                }
            }
            let masked = Array(repeating: -Float.infinity, count: count)
            #expect(throws: SamplingFailure.noTokenAllowed) { try sample(sampler, masked, SamplingParameters()) }
            var one = masked
            one[count - 1] = -1e30
            #expect(try sample(sampler, one, SamplingParameters()).token == Int32(count - 1))
        }
    }

    @Test func extremeLogitsStayFinite() throws {
        let sampler = Sampler()
        let row: [Float] = [-3e38, 3e38, 0, -.infinity]
        for topP in [1.0, 0.5] {
            var p = SamplingParameters()
            p.temperature = 2
            p.topP = topP
            p.topNSigma = 1
            #expect(try sample(sampler, row, p).token == 1)
        }
    }

    final class OddTokens: TokenConstraint {
        var isComplete: Bool { false }
        func accept(_ token: Int32) -> Bool { token % 2 == 1 }
        func fillMask(_ mask: UnsafeMutableBufferPointer<UInt64>) {
            for index in mask.indices { mask[index] = 0xAAAA_AAAA_AAAA_AAAA }
        }
    }

    @Test func constraintMasksBeforeTheReport() throws {
        var random = SplitMix(5)
        let sampler = Sampler()
        var p = SamplingParameters()
        p.logprobs = 4
        for seed in 0..<50 as Range<UInt64> {
            let row = Self.row(131, &random)
            let sampled = try sample(sampler, row, p, seed: seed, constraint: OddTokens())
            #expect(sampled.token % 2 == 1)
            let report = try #require(sampled.logprobs)
            #expect(report.top.allSatisfy { $0.token % 2 == 1 })
        }
    }

    @Test func wholeVocabularyLogprobs() throws {
        var random = SplitMix(6)
        let row = Self.row(200, &random)
        var p = SamplingParameters(greedy: 1)
        p.logprobs = -1
        let report = try #require(try sample(Sampler(), row, p).logprobs)
        #expect(report.top.count == 200)
        #expect(report.top.map(\.token) == row.indices.sorted { (-row[$0], $0) < (-row[$1], $1) }.map(Int32.init))
        for entry in report.top { #expect(Int(entry.rank) == 1 + row.filter { $0 > row[Int(entry.token)] }.count) }
        #expect(report.chosen == report.top[0])
    }
}
