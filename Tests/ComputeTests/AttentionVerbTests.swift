import Compute
import Step
import Glibc
import Testing

/// The attention verb against a plain reference in double precision, over all that an `AttentionSpec` can ask for.
@Suite struct AttentionVerbTests {
    struct Case: CustomStringConvertible {
        var name: String
        var heads = 4, kvHeads = 2, dimension = 16
        var clip: Float?
        var scope: HeadNorm.Scope?
        var kind = Norm.Kind.rms(offset: 0)
        var hasNormBias = false
        var normsAfterRotation = false
        var rope: RopeFrequencies? = plainRope(16, .half)
        var window: Int?
        var softcap: Float = 0
        var hasSinks = false, hasSlopes = false

        var description: String { name }
        var columns: Int { (heads + 2 * kvHeads) * dimension }
    }

    static let cases: [Case] = [
        Case(name: "plain"),
        Case(name: "no rotation", rope: nil),
        Case(name: "partial interleaved rotation", rope: plainRope(8, .interleaved)),
        Case(name: "clip", clip: 0.75),
        Case(name: "clip before norms", clip: 0.6, scope: .shared),
        Case(name: "shared norm", scope: .shared),
        Case(name: "shared norm, gemma", scope: .shared, kind: .rms(offset: 1)),
        Case(name: "shared layer norm with bias", scope: .shared, kind: .layer, hasNormBias: true),
        Case(name: "per-head layer norm", scope: .perHead, kind: .layer),
        Case(name: "per-head layer norm with bias", scope: .perHead, kind: .layer, hasNormBias: true),
        Case(name: "per-head norm", kvHeads: 1, scope: .perHead),
        Case(name: "whole norm", scope: .whole),
        Case(name: "whole layer norm", heads: 6, kvHeads: 3, scope: .whole, kind: .layer),
        Case(name: "norm after rotation", scope: .shared, normsAfterRotation: true),
        Case(name: "per-head norm after rotation", scope: .perHead, normsAfterRotation: true),
        Case(name: "sinks", hasSinks: true),
        Case(name: "sinks and window", window: 9, hasSinks: true),
        Case(name: "alibi", heads: 6, kvHeads: 6, rope: nil, hasSlopes: true),
        Case(name: "softcap", softcap: 1.5),
    ]

    /// Parameters of a case, the same for the verb and the reference.
    struct Parameters {
        let queryWeight: [Float], keyWeight: [Float], queryBias: [Float], keyBias: [Float], sinks: [Float], slopes: [Float]

        init(_ c: Case) {
            var random = Random(7)
            let queries = c.scope == .shared ? c.dimension : c.heads * c.dimension
            let keys = c.scope == .shared ? c.dimension : c.kvHeads * c.dimension
            queryWeight = random.floats(queries).map { $0 + 1 }
            keyWeight = random.floats(keys).map { $0 + 1 }
            queryBias = random.floats(queries)
            keyBias = random.floats(keys)
            sinks = random.floats(c.heads)
            slopes = (0..<c.heads).map { 0.1 * Float($0 + 1) }
        }
    }

    static let epsilon: Float = 1e-5

    func spec(_ c: Case, _ p: Parameters, _ backend: CPUBackend) throws -> AttentionSpec {
        var spec = AttentionSpec(heads: c.heads, kvHeads: c.kvHeads, headDimension: c.dimension, valueDimension: c.dimension, scale: 0.25)
        spec.clip = c.clip
        if let scope = c.scope {
            func norm(_ weight: [Float], _ bias: [Float]) throws -> HeadNorm {
                HeadNorm(
                    Norm(c.kind, epsilon: Self.epsilon, weight: try backend.makeVector(weight), bias: c.hasNormBias ? try backend.makeVector(bias) : nil),
                    scope: scope)
            }
            spec.queryNorm = try norm(p.queryWeight, p.queryBias)
            spec.keyNorm = try norm(p.keyWeight, p.keyBias)
        }
        spec.normsAfterRotation = c.normsAfterRotation
        spec.rope = c.rope.map { backend.registerRope($0) }
        spec.slidingWindow = c.window
        spec.softcap = c.softcap
        if c.hasSinks { spec.sinks = try backend.makeVector(p.sinks) }
        if c.hasSlopes { spec.alibiSlopes = try backend.makeVector(p.slopes) }
        return spec
    }

    /// Norm of `count` heads from `first` on.
    func norm(_ row: inout [Double], _ first: Int, heads: Int, _ c: Case, weight: [Float], bias: [Float]) {
        guard let scope = c.scope else { return }
        let width = scope == .whole ? heads * c.dimension : c.dimension
        for group in 0..<(scope == .whole ? 1 : heads) {
            let begin = first + group * width, parameter = scope == .perHead ? group * width : 0
            let x = Array(row[begin..<begin + width])
            var mean = 0.0, offset = 0.0
            switch c.kind {
            case .layer: mean = x.reduce(0, +) / Double(width)
            case .rms(let o): offset = Double(o)
            }
            let spread = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width) + Double(Self.epsilon)
            for i in 0..<width {
                row[begin + i] = (x[i] - mean) / spread.squareRoot() * (offset + Double(weight[parameter + i]))
                if c.hasNormBias { row[begin + i] += Double(bias[parameter + i]) }
            }
        }
    }

    func reference(_ text: [Float], _ c: Case, _ p: Parameters) -> [Double] {
        let tokens = text.count / c.columns, d = c.dimension, key = c.heads * d, value = key + c.kvHeads * d
        let rows = (0..<tokens).map { position in
            var row = text[position * c.columns..<(position + 1) * c.columns].map { Double(min(max($0, -(c.clip ?? .infinity)), c.clip ?? .infinity)) }
            func norms() {
                norm(&row, 0, heads: c.heads, c, weight: p.queryWeight, bias: p.queryBias)
                norm(&row, key, heads: c.kvHeads, c, weight: p.keyWeight, bias: p.keyBias)
            }
            if !c.normsAfterRotation { norms() }
            if let rope = c.rope { for head in 0..<c.heads + c.kvHeads { rotate(&row, at: head * d, rope, position: position) } }
            if c.normsAfterRotation { norms() }
            return row
        }
        var out: [Double] = []
        for t in 0..<tokens {
            for h in 0..<c.heads {
                let g = h / (c.heads / c.kvHeads)
                let seen = max(0, t + 1 - (c.window ?? tokens))...t
                var scores = seen.map { j in (0..<d).reduce(0.0) { $0 + rows[t][h * d + $1] * rows[j][key + g * d + $1] } * 0.25 }
                if c.softcap != 0 { scores = scores.map { Double(c.softcap) * tanh($0 / Double(c.softcap)) } }
                if c.hasSlopes { for (i, j) in seen.enumerated() { scores[i] += Double(p.slopes[h]) * Double(j - t) } }
                let weights = scores.map { exp($0) }
                let sum = weights.reduce(0, +) + (c.hasSinks ? exp(Double(p.sinks[h])) : 0)
                for i in 0..<d { out.append(zip(seen, weights).reduce(0.0) { $0 + $1.1 * rows[$1.0][value + g * d + i] } / sum) }
            }
        }
        return out
    }

    @Test(arguments: cases)
    func matchesTheReference(_ c: Case) throws {
        let lengths = [40, 1, 23], parameters = Parameters(c)
        var random = Random(3)
        let texts = lengths.map { random.floats($0 * c.columns, scale: 1.5) }
        let layout = KVCacheLayout(
            groups: [.init(slidingWindow: c.window)], layersPerGroup: [1], blockSize: 16, kvHeads: c.kvHeads, headDimension: c.dimension,
            valueDimension: c.dimension)
        let harness = try AttentionHarness(layout, columns: (c.columns, c.heads * c.dimension), tokens: 40)
        let spec = try spec(c, parameters, harness.backend)
        var first: [[Float]]?
        for steps in AttentionHarness.waysToRun(lengths) {
            let out = try harness.run(texts, steps: steps) { $0.attention($1, spec, into: $2) }
            if let first {
                for text in texts.indices { #expect(sameBits(out[text], first[text]), "\(c) text \(text)") }
            } else {
                first = out
                for text in texts.indices {
                    let expected = reference(texts[text], c, parameters)
                    let worst = zip(out[text], expected).reduce(0.0) { max($0, abs(Double($1.0) - $1.1)) }
                    #expect(worst < 1e-5, "\(c) text \(text)")
                    #expect(out[text].count == expected.count && out[text].allSatisfy { $0.isFinite })
                }
            }
        }
    }

    /// Each cache type: near the reference, and the same bits however the work is cut.
    @Test(arguments: KVCacheType.allCases)
    func everyCacheTypeIsNear(_ type: KVCacheType) throws {
        let c = Case(name: "cache", heads: 8, kvHeads: 2, dimension: 32, rope: plainRope(32, .half)), parameters = Parameters(c)
        let lengths = [60, 1, 23]
        var random = Random(3)
        let texts = lengths.map { random.floats($0 * c.columns, scale: 1.5) }
        let layout = KVCacheLayout(
            groups: [.init(slidingWindow: nil)], layersPerGroup: [1], blockSize: 16, kvHeads: 2, headDimension: 32, valueDimension: 32)
        let harness = try AttentionHarness(layout, columns: (c.columns, 256), tokens: 60, cacheType: type)
        let spec = try spec(c, parameters, harness.backend)
        // Half a step of the values' type, the largest of which is 1.5, and some for the keys.
        let tolerance: Double =
            switch type {
            case .float32: 1e-5
            case .float16: 2e-3
            case .auto, .bfloat16, .int8: 2e-2
            case .fp8, .fp8E4M3: 0.15
            case .fp8E5M2: 0.3
            }
        var first: [[Float]]?
        for steps in AttentionHarness.waysToRun(lengths) {
            let out = try harness.run(texts, steps: steps) { $0.attention($1, spec, into: $2) }
            if let first {
                for text in texts.indices { #expect(sameBits(out[text], first[text]), "\(type) text \(text)") }
                continue
            }
            first = out
            for text in texts.indices {
                let worst = zip(out[text], reference(texts[text], c, parameters)).reduce(0.0) { max($0, abs(Double($1.0) - $1.1)) }
                #expect(worst < tolerance, "\(type) text \(text): \(worst)")
            }
        }
    }

    /// Layers of different heads, and one of latents, in one cache: none writes into another's pages.
    @Test func layersOfDifferentShapesShareBlocks() throws {
        let cases = [
            Case(name: "narrow", heads: 4, kvHeads: 1, dimension: 16), Case(name: "wide", heads: 4, kvHeads: 4, dimension: 16),
            Case(name: "middle", heads: 2, kvHeads: 2, dimension: 16),
        ]
        let pages = cases.map { KVPage.heads(kvHeads: $0.kvHeads, headDimension: $0.dimension, valueDimension: $0.dimension) }
        let layout = KVCacheLayout(groups: [.init(slidingWindow: nil)], layersPerGroup: [3], blockSize: 16, pages: pages)
        let single = KVCacheLayout(groups: layout.groups, layersPerGroup: [1], blockSize: 16, pages: [pages[1]])
        let widest = cases[1].columns, tokens = 40
        let harness = try AttentionHarness(layout, columns: (widest, 64 * 3), tokens: tokens, texts: 2)
        #expect(harness.backend.bytesPerBlock(layout) == 3 * harness.backend.bytesPerBlock(single))
        let buffers = try cases.map {
            (try harness.backend.makeTensor(rows: 80, columns: $0.columns), try harness.backend.makeTensor(rows: 80, columns: $0.heads * $0.dimension))
        }
        let specs = try cases.enumerated().map { place, c in
            var spec = try spec(c, Parameters(c), harness.backend)
            spec.cacheLayer = place
            return spec
        }
        var random = Random(9)
        let texts = [random.floats(tokens * widest), random.floats(33 * widest)]
        let steps: [[Range<Int>?]] = [[0..<20, nil], [20..<39, 0..<33], [39..<40, nil]]
        let out = try harness.run(texts, steps: steps) { backend, input, output in
            for (place, c) in cases.enumerated() {
                let projection = buffers[place].0.first(input.rows), attended = buffers[place].1.first(input.rows)
                for row in 0..<input.rows {
                    (projection.floats + row * c.columns).update(from: input.floats + row * widest, count: c.columns)
                }
                backend.attention(projection, specs[place], into: attended)
                for row in 0..<input.rows {
                    (output.floats + row * 192 + place * 64).update(from: attended.floats + row * attended.columns, count: attended.columns)
                }
            }
        }
        for (text, values) in texts.enumerated() {
            for (place, c) in cases.enumerated() {
                let rows = values.count / widest
                let expected = reference((0..<rows).flatMap { values[$0 * widest..<$0 * widest + c.columns] }, c, Parameters(c))
                let width = c.heads * c.dimension
                for row in 0..<rows {
                    for i in 0..<width {
                        #expect(abs(Double(out[text][row * 192 + place * 64 + i]) - expected[row * width + i]) < 1e-5, "\(c) text \(text) row \(row)")
                    }
                }
            }
        }
    }
}
