import Compute
import Glibc
import Step
import Tensors
import Testing

/// Multi-head latent attention through the verbs, against the same attention with keys and values expanded for each head.
@Suite struct LatentAttentionTests {
    struct Shape: CustomStringConvertible {
        var heads: Int, rank: Int, nope: Int, rotary: Int, value: Int
        var style = RopeFrequencies.Style.interleaved

        var description: String { "\(heads) heads, rank \(rank) + \(rotary)" }
        var queryColumns: Int { heads * (nope + rotary) }
        /// Queries and latent of one token, side by side as the harness gives them.
        var inputColumns: Int { queryColumns + rank + rotary }
        var scale: Float { 1 / Float(nope + rotary).squareRoot() }
    }

    static let shapes = [
        Shape(heads: 4, rank: 32, nope: 16, rotary: 8, value: 16),
        Shape(heads: 19, rank: 64, nope: 32, rotary: 16, value: 24, style: .half),
        Shape(heads: 2, rank: 20, nope: 10, rotary: 6, value: 6),
    ]

    /// Everything between a text's projections and its attended heads.
    final class Layer {
        let shape: Shape
        let keyUp: [Float], valueUp: [Float], normWeight: [Float]
        private var intoLatent: HeadMatrices?
        private var outOfLatent: HeadMatrices?
        private var tensors: [Tensor] = []
        private var spec: LatentAttentionSpec

        init(_ shape: Shape) {
            var random = Random(11)
            self.shape = shape
            keyUp = random.floats(shape.heads * shape.nope * shape.rank, scale: 0.4)
            valueUp = random.floats(shape.heads * shape.value * shape.rank, scale: 0.4)
            normWeight = random.floats(shape.rank).map { $0 + 1 }
            spec = LatentAttentionSpec(heads: shape.heads, rank: shape.rank, rotary: shape.rotary, scale: shape.scale)
        }

        func load(_ backend: CPUBackend, tokens: Int, dtype: DType) throws {
            func heads(_ values: [Float], rows: Int) throws -> [StoredWeight] {
                try (0..<shape.heads).map { head in
                    .dense(try TensorView.make(dtype, [rows, shape.rank]) { bytes in
                        for i in 0..<rows * shape.rank {
                            let x = values[head * rows * shape.rank + i]
                            if dtype == .f32 {
                                bytes.storeBytes(of: x, toByteOffset: i * 4, as: Float.self)
                            } else {
                                bytes.storeBytes(of: UInt16(truncatingIfNeeded: x.bitPattern >> 16), toByteOffset: i * 2, as: UInt16.self)
                            }
                        }
                    })
                }
            }
            intoLatent = try backend.makeHeadMatrices(try heads(keyUp, rows: shape.nope), transposed: true)
            outOfLatent = try backend.makeHeadMatrices(try heads(valueUp, rows: shape.value), transposed: false)
            for columns in [shape.queryColumns, shape.rank + shape.rotary, shape.heads * shape.rank, shape.heads * shape.rank] {
                tensors.append(try backend.makeTensor(rows: tokens, columns: columns))
            }
            spec.latentNorm = Norm(.rms(offset: 0), epsilon: 1e-6, weight: try backend.makeVector(normWeight))
            spec.rope = backend.registerRope(plainRope(shape.rotary, shape.style))
        }

        func callAsFunction(_ backend: CPUBackend, _ input: Tensor, _ out: Tensor) {
            guard let intoLatent, let outOfLatent else { return }
            let queries = tensors[0].first(input.rows), latents = tensors[1].first(input.rows)
            let mixed = tensors[2].first(input.rows), attended = tensors[3].first(input.rows)
            for row in 0..<input.rows {
                let from = input.floats + row * input.columns
                (queries.floats + row * queries.columns).update(from: from, count: queries.columns)
                (latents.floats + row * latents.columns).update(from: from + queries.columns, count: latents.columns)
            }
            let stride = shape.nope + shape.rotary
            backend.linearPerHead(HeadColumns(queries, stride: stride), intoLatent, into: HeadColumns(mixed, stride: shape.rank))
            backend.latentAttention(mixed, rotary: HeadColumns(queries, offset: shape.nope, stride: stride), latents: latents, spec, into: attended)
            backend.linearPerHead(HeadColumns(attended, stride: shape.rank), outOfLatent, into: HeadColumns(out, stride: shape.value))
        }

        func reference(_ text: [Float]) -> [Double] {
            let s = shape, tokens = text.count / s.inputColumns, stride = s.nope + s.rotary
            let rope = plainRope(s.rotary, s.style)
            func up(_ weights: [Float], _ rows: Int, _ head: Int, _ latent: ArraySlice<Double>) -> [Double] {
                (0..<rows).map { row in
                    zip(latent, weights[(head * rows + row) * s.rank..<(head * rows + row + 1) * s.rank]).reduce(0) { $0 + $1.0 * Double($1.1) }
                }
            }
            let rows = (0..<tokens).map { position in
                var row = text[position * s.inputColumns..<(position + 1) * s.inputColumns].map { Double($0) }
                let latent = row[s.queryColumns..<s.queryColumns + s.rank]
                let spread = (latent.reduce(0) { $0 + $1 * $1 } / Double(s.rank) + 1e-6).squareRoot()
                for i in 0..<s.rank { row[s.queryColumns + i] = row[s.queryColumns + i] / spread * Double(normWeight[i]) }
                for head in 0..<s.heads { rotate(&row, at: head * stride + s.nope, rope, position: position) }
                rotate(&row, at: s.queryColumns + s.rank, rope, position: position)
                return row
            }
            var out = [Double](repeating: 0, count: tokens * s.heads * s.value)
            for head in 0..<s.heads {
                let keys = rows.map { up(keyUp, s.nope, head, $0[s.queryColumns..<s.queryColumns + s.rank]) + $0[(s.queryColumns + s.rank)...] }
                let values = rows.map { up(valueUp, s.value, head, $0[s.queryColumns..<s.queryColumns + s.rank]) }
                for t in 0..<tokens {
                    let weights = (0...t).map { j in
                        exp((0..<stride).reduce(0.0) { $0 + rows[t][head * stride + $1] * keys[j][$1] } * Double(s.scale))
                    }
                    let sum = weights.reduce(0, +)
                    for (weight, value) in zip(weights, values) {
                        for i in 0..<s.value { out[(t * s.heads + head) * s.value + i] += weight / sum * value[i] }
                    }
                }
            }
            return out
        }
    }

    static let lengths = [40, 1, 23]

    private func harness(_ shape: Shape, tokens: Int, cacheType: KVCacheType = .float32) throws -> AttentionHarness {
        let layout = KVCacheLayout(
            groups: [.init(slidingWindow: nil)], layersPerGroup: [1], blockSize: 16, pages: [.latent(rank: shape.rank, rotary: shape.rotary)])
        return try AttentionHarness(
            layout, columns: (shape.inputColumns, shape.heads * shape.value), tokens: tokens, threads: 3, cacheType: cacheType)
    }

    @Test(arguments: shapes)
    func matchesExpandedAttention(_ shape: Shape) throws {
        var random = Random(5)
        let texts = Self.lengths.map { random.floats($0 * shape.inputColumns, scale: 1.5) }
        let harness = try harness(shape, tokens: 40), layer = Layer(shape)
        try layer.load(harness.backend, tokens: 120, dtype: .f32)
        var first: [[Float]]?
        for steps in AttentionHarness.waysToRun(Self.lengths) {
            let out = try harness.run(texts, steps: steps) { layer($0, $1, $2) }
            if let first {
                for text in texts.indices { #expect(sameBits(out[text], first[text]), "\(shape) text \(text)") }
                continue
            }
            first = out
            for text in texts.indices {
                let expected = layer.reference(texts[text])
                let worst = zip(out[text], expected).reduce(0.0) { max($0, abs(Double($1.0) - $1.1)) }
                #expect(out[text].count == expected.count && worst < 2e-5, "\(shape) text \(text): \(worst)")
            }
        }
    }

    /// Latents cached in every type, matrices in bfloat16: near the reference, and the same bits however the work is cut.
    @Test(arguments: KVCacheType.allCases)
    func everyCacheTypeIsNear(_ type: KVCacheType) throws {
        let shape = Self.shapes[1]
        var random = Random(5)
        let texts = Self.lengths.map { random.floats($0 * shape.inputColumns) }
        let harness = try harness(shape, tokens: 40, cacheType: type), layer = Layer(shape)
        try layer.load(harness.backend, tokens: 120, dtype: .bf16)
        // Root mean square of the error over that of the result: an 8-bit float of m bits is wrong by 2^-(m+1) / sqrt 3 at most.
        let tolerance: Double =
            switch type {
            case .fp8E5M2: 0.075
            case .fp8, .fp8E4M3: 0.038
            default: 0.01   // matrices and activations in bfloat16
            }
        var first: [[Float]]?
        for steps in AttentionHarness.waysToRun(Self.lengths) {
            let out = try harness.run(texts, steps: steps) { layer($0, $1, $2) }
            if let first {
                for text in texts.indices { #expect(sameBits(out[text], first[text]), "\(type) text \(text)") }
                continue
            }
            first = out
            for text in texts.indices {
                let expected = layer.reference(texts[text])
                let error = zip(out[text], expected).reduce(0.0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
                let size = expected.reduce(0.0) { $0 + $1 * $1 }
                #expect((error / size).squareRoot() < tolerance, "\(type) text \(text)")
            }
        }
    }

    /// One token over a context of several splits, on several threads.
    @Test func longContextHasTheSameBits() throws {
        let shape = Self.shapes[0], lengths = [1100]
        var random = Random(6)
        let texts = [random.floats(1100 * shape.inputColumns)]
        let harness = try harness(shape, tokens: 1100, cacheType: .auto), layer = Layer(shape)
        try layer.load(harness.backend, tokens: 1100, dtype: .f32)
        let whole = try harness.run(texts, steps: [[0..<1100]]) { layer($0, $1, $2) }
        let single = try harness.run(texts, steps: [[0..<1090]] + (1090..<1100).map { [$0..<$0 + 1] }) { layer($0, $1, $2) }
        #expect(sameBits(whole[0], single[0]), "\(lengths)")
    }
}
