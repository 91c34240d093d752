import Compute
import Glibc
import Step
import Testing

/// Layers with a state through the verbs, against plain loops over whole texts in float64; pages are dirty from one way of running to the next.
@Suite struct RecurrentTests {
    static let lengths = [40, 1, 23]

    private func harness(_ page: KVPage, columns: (Int, Int)) throws -> AttentionHarness {
        // Beside pages of another kind and size, in the group's second layer.
        let layout = KVCacheLayout(
            groups: [.init(slidingWindow: KVPage.stateWindow)], layersPerGroup: [2], blockSize: 16,
            pages: [.heads(kvHeads: 1, headDimension: 16, valueDimension: 16), page])
        return try AttentionHarness(layout, columns: columns, tokens: 40, threads: 3)
    }

    /// The same bits however texts are cut and mixed, near the reference.
    private func check(
        _ harness: AttentionHarness, _ texts: [[Float]], tolerance: Double, reference: ([Float]) -> [Double], _ verb: (CPUBackend, Tensor, Tensor) -> Void
    ) throws {
        var first: [[Float]]?
        for steps in AttentionHarness.waysToRun(Self.lengths) {
            let out = try harness.run(texts, steps: steps, verb)
            for text in texts.indices {
                if let first {
                    #expect(sameBits(out[text], first[text]), "text \(text)")
                } else {
                    let worst = zip(out[text], reference(texts[text])).reduce(0.0) { max($0, abs(Double($1.0) - $1.1)) }
                    #expect(worst < tolerance, "text \(text) is off by \(worst)")
                }
            }
            first = first ?? out
        }
    }

    @Test(arguments: [(64, 3, false), (300, 4, true), (10, 2, true), (6, 20, false)])
    func shortConvolution(channels: Int, taps: Int, hasBias: Bool) throws {
        var random = Random(7)
        let weights = random.floats(taps * channels), bias = random.floats(channels)
        let harness = try harness(.shortConvolution(channels: channels, taps: taps), columns: (3 * channels, channels))
        var spec = ShortConvolutionSpec(
            channels: channels, taps: taps, weights: try harness.backend.makeVector(weights), bias: hasBias ? try harness.backend.makeVector(bias) : nil)
        spec.cacheLayer = 1
        let reference = { (text: [Float]) in
            (0..<text.count / (3 * channels)).flatMap { position in
                (0..<channels).map { channel in
                    let at = { (position: Int, part: Int) in Double(text[(position * 3 + part) * channels + channel]) }
                    let sum = (max(0, position - taps + 1)...position).reduce(hasBias ? Double(bias[channel]) : 0) { sum, past in
                        sum + Double(weights[(past - position + taps - 1) * channels + channel]) * at(past, 0) * at(past, 2)
                    }
                    return sum * at(position, 1)
                }
            }
        }
        try check(harness, Self.lengths.map { random.floats($0 * 3 * channels) }, tolerance: 1e-5, reference: reference) { backend, input, out in
            backend.shortConvolution(input, spec, into: out)
        }
    }

    @Test(arguments: [
        DeltaNetShape(keyHeads: 2, valueHeads: 4, keyDimension: 16, valueDimension: 16, taps: 4),
        DeltaNetShape(keyHeads: 3, valueHeads: 3, keyDimension: 10, valueDimension: 22, taps: 2),
        DeltaNetShape(keyHeads: 1, valueHeads: 3, keyDimension: 33, valueDimension: 8, taps: 6),
    ])
    func deltaNet(_ shape: DeltaNetShape) throws {
        var random = Random(9)
        let net = ReferenceDeltaNet(shape, &random)
        let harness = try harness(.deltaNet(shape), columns: (shape.projectionColumns, shape.valueHeads * shape.valueDimension))
        let backend = harness.backend
        var spec = DeltaNetSpec(
            shape, convolution: try backend.makeVector(net.convolution), decayRates: try backend.makeVector(net.decayRates),
            decayBias: try backend.makeVector(net.decayBias),
            outputNorm: Norm(.rms(offset: 0), epsilon: 1e-6, weight: try backend.makeVector(net.normWeight)))
        spec.cacheLayer = 1
        let texts = Self.lengths.map { random.floats($0 * shape.projectionColumns, scale: 2) }
        try check(harness, texts, tolerance: 2e-4, reference: net.callAsFunction) { backend, input, out in backend.deltaNet(input, spec, into: out) }
    }
}

/// The gated delta rule as the paper writes it.
struct ReferenceDeltaNet {
    let shape: DeltaNetShape
    let convolution: [Float], decayRates: [Float], decayBias: [Float], normWeight: [Float]

    init(_ shape: DeltaNetShape, _ random: inout Random) {
        self.shape = shape
        convolution = random.floats(shape.taps * shape.keyHeads * shape.channelsPerKey)
        decayRates = random.floats(shape.valueHeads).map { abs($0) }
        decayBias = random.floats(shape.valueHeads)
        normWeight = random.floats(shape.valueDimension).map { 1 + $0 / 2 }
    }

    func callAsFunction(_ text: [Float]) -> [Double] {
        let s = shape, columns = s.projectionColumns, tokens = text.count / columns, group = s.valuesPerKey
        var out = [Double](repeating: 0, count: tokens * s.valueHeads * s.valueDimension)
        let sigmoid = { (x: Double) in 1 / (1 + exp(-x)) }
        for head in 0..<s.valueHeads {
            let keyHead = head / group, inner = head % group
            var state = [[Double]](repeating: [Double](repeating: 0, count: s.valueDimension), count: s.keyDimension)
            for t in 0..<tokens {
                let at = { (position: Int, column: Int) in Double(text[position * columns + column]) }
                let convolved = { (first: Int, count: Int) in
                    (first..<first + count).map { channel in
                        let sum = (max(0, t - s.taps + 1)...t).reduce(0.0) { sum, past in
                            let weight = convolution[((past - t + s.taps - 1) * s.keyHeads + keyHead) * s.channelsPerKey + channel]
                            return sum + Double(weight) * at(past, keyHead * s.columnsPerKey + channel)
                        }
                        return sum * sigmoid(sum)
                    }
                }
                let unit = { (x: [Double]) in x.map { $0 / (x.reduce(1e-6) { $0 + $1 * $1 }).squareRoot() } }
                let query = unit(convolved(0, s.keyDimension)).map { $0 / Double(s.keyDimension).squareRoot() }
                let key = unit(convolved(s.keyDimension, s.keyDimension))
                let value = convolved(2 * s.keyDimension + inner * s.valueDimension, s.valueDimension)
                let rates = s.keyHeads * s.columnsPerKey + keyHead * 2 * group + inner
                let strength = sigmoid(at(t, rates))
                let decay = exp(-Double(decayRates[head]) * log1p(exp(at(t, rates + group) + Double(decayBias[head]))))
                var y = [Double](repeating: 0, count: s.valueDimension)
                for j in 0..<s.valueDimension {
                    let held = (0..<s.keyDimension).reduce(0.0) { $0 + decay * state[$1][j] * key[$1] }
                    for i in 0..<s.keyDimension {
                        state[i][j] = decay * state[i][j] + key[i] * strength * (value[j] - held)
                        y[j] += state[i][j] * query[i]
                    }
                }
                let spread = (y.reduce(0) { $0 + $1 * $1 } / Double(s.valueDimension) + 1e-6).squareRoot()
                for j in 0..<s.valueDimension {
                    let gate = at(t, keyHead * s.columnsPerKey + s.channelsPerKey + inner * s.valueDimension + j)
                    out[(t * s.valueHeads + head) * s.valueDimension + j] = y[j] / spread * Double(normWeight[j]) * gate * sigmoid(gate)
                }
            }
        }
        return out
    }
}
