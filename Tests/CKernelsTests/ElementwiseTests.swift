import CKernels
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#endif

extension Kernels {
    @Suite struct Elementwise {
        static let widths = [1, 15, 16, 17, 31, 32, 33, 63, 65, 100, 576]

        /// f32 result of a kernel that writes through nt_out, and the same through bf16 and q8.
        static func outputs(_ rows: Int, _ k: Int, _ kernel: (nt_out) -> Void) -> (f32: [Float], bf16: [UInt16], q8: [UInt8]) {
            var f = [Float](repeating: 0, count: rows * k), h = [UInt16](repeating: 0, count: rows * k)
            var q = [UInt8](repeating: 0, count: rows * nt_q8_row_bytes(k))
            f.withUnsafeMutableBytes { kernel(nt_out(rows: $0.baseAddress, stride: 4 * k, type: NT_ACT_F32)) }
            h.withUnsafeMutableBytes { kernel(nt_out(rows: $0.baseAddress, stride: 2 * k, type: NT_ACT_BF16)) }
            q.withUnsafeMutableBytes { kernel(nt_out(rows: $0.baseAddress, stride: nt_q8_row_bytes(k), type: NT_ACT_Q8)) }
            return (f, h, q)
        }

        /// The fused outputs are the f32 output, narrowed.
        static func expectConsistent(_ o: (f32: [Float], bf16: [UInt16], q8: [UInt8]), _ rows: Int, _ k: Int, _ what: Comment) {
            #expect(o.bf16 == o.f32.map(bf16), what)
            var q = [UInt8](repeating: 0, count: o.q8.count)
            nt_quantize_rows_q8(o.f32, k, rows, k, &q, nt_q8_row_bytes(k))
            #expect(o.q8 == q, what)
        }

        @Test func rmsNorm() {
            Kernels.forEachLevel { level in
                for k in Self.widths {
                    var random = Random(UInt64(k))
                    let rows = 3, stride = k + 2, x = random.floats(rows * stride, scale: 4), w = random.floats(k)
                    for (weight, offset) in [(w, Float(0)), (w, 1), (nil, 0)] as [([Float]?, Float)] {
                        let o = Self.outputs(rows, k) { out in
                            if let weight { nt_rms_norm(x, stride, rows, k, weight, offset, 1e-5, out) }
                            else { nt_rms_norm(x, stride, rows, k, nil, offset, 1e-5, out) }
                        }
                        for r in 0..<rows {
                            let row = x[(r * stride)..<(r * stride + k)].map(Double.init)
                            let factor = 1 / (row.reduce(0) { $0 + $1 * $1 } / Double(k) + 1e-5).squareRoot()
                            for i in 0..<k {
                                let expected = row[i] * factor * (weight.map { Double($0[i]) + Double(offset) } ?? 1)
                                #expect(abs(Double(o.f32[r * k + i]) - expected) <= 1e-6 * (abs(expected) + 1e-3), "level \(level.rawValue) k \(k)")
                            }
                        }
                        Self.expectConsistent(o, rows, k, "level \(level.rawValue) k \(k)")
                        var alone = [Float](repeating: 0, count: k)
                        alone.withUnsafeMutableBytes {
                            let out = nt_out(rows: $0.baseAddress, stride: 4 * k, type: NT_ACT_F32)
                            let row = Array(x[(2 * stride)..<(2 * stride + k)])
                            if let weight { nt_rms_norm(row, k, 1, k, weight, offset, 1e-5, out) }
                            else { nt_rms_norm(row, k, 1, k, nil, offset, 1e-5, out) }
                        }
                        #expect(sameBits(alone, Array(o.f32[(2 * k)...])))
                    }
                }
            }
        }

        @Test func layerNorm() {
            Kernels.forEachLevel { level in
                for k in Self.widths {
                    var random = Random(UInt64(100 + k))
                    let rows = 2, x = random.floats(rows * k).map { $0 + 3 }, w = random.floats(k), b = random.floats(k)
                    let o = Self.outputs(rows, k) { nt_layer_norm(x, k, rows, k, w, b, 1e-5, $0) }
                    let plain = Self.outputs(rows, k) { nt_layer_norm(x, k, rows, k, nil, nil, 1e-5, $0) }
                    for r in 0..<rows {
                        let row = x[(r * k)..<(r * k + k)].map(Double.init), mean = row.reduce(0, +) / Double(k)
                        let factor = 1 / (row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(k) + 1e-5).squareRoot()
                        for i in 0..<k {
                            let z = (row[i] - mean) * factor, slack = 4e-6 * (factor + 1)
                            #expect(abs(Double(plain.f32[r * k + i]) - z) <= slack, "level \(level.rawValue) k \(k)")
                            #expect(abs(Double(o.f32[r * k + i]) - z * Double(w[i]) - Double(b[i])) <= slack, "level \(level.rawValue) k \(k)")
                        }
                    }
                    Self.expectConsistent(o, rows, k, "level \(level.rawValue) k \(k)")
                    Self.expectConsistent(plain, rows, k, "level \(level.rawValue) k \(k)")
                }
            }
        }

        static func reference(_ f: nt_activation, _ x: Double) -> Double {
            switch f {
            case NT_SILU: x / (1 + exp(-x))
            case NT_GELU_TANH: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
            case NT_GELU_ERF: 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
            case NT_RELU: max(x, 0)
            case NT_RELU2: max(x, 0) * max(x, 0)
            case NT_SIGMOID: 1 / (1 + exp(-x))
            case NT_TANH: tanh(x)
            case NT_GELU_QUICK: x / (1 + exp(-1.702 * x))
            default: x
            }
        }

        @Test func activationsMatchAndTailsHaveTheBitsOfTheBody() {
            Kernels.forEachLevel { level in
                for raw in NT_SILU.rawValue...NT_GELU_QUICK.rawValue {
                    let f = nt_activation(raw)
                    for k in Self.widths {
                        var random = Random(UInt64(raw) * 1000 + UInt64(k))
                        let rows = 2, gateUp = random.floats(rows * 2 * k, scale: 9)
                        let gated = gateUp.withUnsafeBufferPointer { p in
                            Self.outputs(rows, k) { nt_activate(f, p.baseAddress, 2 * k, p.baseAddress! + k, 2 * k, rows, k, $0) }
                        }
                        let plain = Self.outputs(rows, k) { nt_activate(f, gateUp, 2 * k, nil, 0, rows, k, $0) }
                        let place: Comment = "level \(level.rawValue) activation \(raw) k \(k)"
                        for r in 0..<rows {
                            for i in 0..<k {
                                let x = Double(gateUp[r * 2 * k + i]), up = Double(gateUp[r * 2 * k + k + i])
                                let y = Self.reference(f, x), slack = 1e-6 * abs(y) + 3e-7 * min(1, abs(x))
                                #expect(abs(Double(plain.f32[r * k + i]) - y) <= slack, place)
                                #expect(abs(Double(gated.f32[r * k + i]) - y * up) <= (slack + 2e-7 * abs(y)) * abs(up), place)
                            }
                        }
                        Self.expectConsistent(plain, rows, k, place)
                        Self.expectConsistent(gated, rows, k, place)
                        // one element alone takes the tail path
                        for i in [0, k / 2, k - 1] {
                            let one = Self.outputs(1, 1) { nt_activate(f, [gateUp[i]], 1, nil, 0, 1, 1, $0) }
                            #expect(one.f32[0].bitPattern == plain.f32[i].bitPattern, place)
                        }
                    }
                }
            }
        }

        @Test func clampedActivationMatches() {
            let alpha: Float = 1.702, limit: Float = 7
            Kernels.forEachLevel { level in
                for k in Self.widths {
                    var random = Random(UInt64(k) + 77)
                    let rows = 2, gateUp = random.floats(rows * 2 * k, scale: 24)
                    let gated = gateUp.withUnsafeBufferPointer { p in
                        Self.outputs(rows, k) { nt_activate_clamped(alpha, limit, p.baseAddress, 2 * k, p.baseAddress! + k, 2 * k, rows, k, $0) }
                    }
                    let plain = Self.outputs(rows, k) { nt_activate_clamped(alpha, limit, gateUp, 2 * k, nil, 0, rows, k, $0) }
                    let place: Comment = "level \(level.rawValue) k \(k)"
                    for r in 0..<rows {
                        for i in 0..<k {
                            let gate = min(Double(gateUp[r * 2 * k + i]), 7), up = max(-7, min(7, Double(gateUp[r * 2 * k + k + i])))
                            let y = gate / (1 + exp(-Double(alpha) * gate)), slack = 2e-6 * abs(y)
                            #expect(abs(Double(plain.f32[r * k + i]) - y) <= slack, place)
                            #expect(abs(Double(gated.f32[r * k + i]) - y * (up + 1)) <= (slack + 4e-7 * abs(y)) * (1 + abs(up)), place)
                        }
                    }
                    Self.expectConsistent(plain, rows, k, place)
                    Self.expectConsistent(gated, rows, k, place)
                }
                var y: [Float] = [0, 0, 0]
                y.withUnsafeMutableBytes {
                    let out = nt_out(rows: $0.baseAddress, stride: 0, type: NT_ACT_F32)
                    nt_activate_clamped(alpha, limit, [.nan, 1, 9], 3, [1, .nan, -.infinity], 3, 1, 3, out)
                }
                #expect(y[0].isNaN && y[1].isNaN && y[2] < -41)
            }
        }

        /// exp, tanh and erf against the C library in double precision, in units of the last place.
        @Test func transcendentalsAreWithinTwoUlp() {
            var x: [Float] = []
            var value: Float = -87
            while value < 88 { x.append(value); value += 0.0137 }
            x += (0..<2000).map { Float($0) / 1000 - 1 }
            Kernels.forEachLevel { level in
                var y = [Float](repeating: 0, count: x.count)
                func worst(_ reference: (Double) -> Double) -> Double {
                    var worst = 0.0
                    for (a, b) in zip(x, y) {
                        let expected = reference(Double(a))
                        worst = max(worst, abs(Double(b) - expected) / Double(Float(expected).ulp))
                    }
                    return worst
                }
                nt_exp_shift(&y, x, x.count, 0)
                #expect(worst { exp($0) } <= 2, "level \(level.rawValue) exp")
                y.withUnsafeMutableBytes {
                    nt_activate(NT_TANH, x, x.count, nil, 0, 1, x.count, nt_out(rows: $0.baseAddress, stride: 0, type: NT_ACT_F32))
                }
                #expect(worst { tanh($0) } <= 3, "level \(level.rawValue) tanh")
                var special: [Float] = [-.infinity, -105, 0, .nan, .infinity]
                nt_exp_shift(&special, special, special.count, 0)
                #expect(special == [0, 0, 1, 0, .infinity])      // NaN counts as -inf in this family
            }
        }

        @Test func simpleVectorOperations() {
            Kernels.forEachLevel { level in
                for n in [0] + Self.widths {
                    var random = Random(UInt64(n) + 7)
                    let x = random.floats(n), y = random.floats(n)
                    var a = y, b = y, c = y, d = y, e = y, f = y
                    nt_add(&a, x, n)
                    nt_add_scaled(&b, x, 0.5, n)
                    nt_scale(&c, x, 3, n)
                    nt_multiply(&d, x, n)
                    nt_softcap(&e, 0.3, n)
                    nt_clamp(&f, 0.3, n)
                    for i in 0..<n {
                        #expect(f[i] == min(max(y[i], -0.3), 0.3))
                        #expect(a[i] == y[i] + x[i] && c[i] == x[i] * 3 && d[i] == y[i] * x[i], "level \(level.rawValue)")
                        #expect(abs(b[i] - (y[i] + 0.5 * x[i])) <= 1e-6)
                        #expect(abs(Double(e[i]) - Double(Float(0.3)) * tanh(Double(y[i]) / Double(Float(0.3)))) <= 2e-7)
                    }
                }
            }
        }

        @Test func softmaxOfRows() {
            Kernels.forEachLevel { level in
                for k in Self.widths {
                    var random = Random(UInt64(k) + 9)
                    var x = random.floats(2 * (k + 1), scale: 20)
                    let before = x
                    for i in 0..<k { x[k + 1 + i] = -.infinity }
                    nt_softmax_rows(&x, k + 1, 2, k)
                    let top = before[..<k].max().map(Double.init) ?? 0, all = before[..<k].map { exp(Double($0) - top) }
                    let sum = all.reduce(0, +)
                    for i in 0..<k {
                        #expect(abs(Double(x[i]) - all[i] / sum) <= 1e-6, "level \(level.rawValue) k \(k)")
                        #expect(x[k + 1 + i] == 0)
                    }
                    #expect(x[k] == before[k])
                }
            }
        }
    }

    @Suite struct Rope {
        @Test func rotatesBothStylesAndLeavesTheRest() {
            Kernels.forEachLevel { level in
                for (dim, rot) in [(64, 64), (24, 24), (80, 32), (16, 16), (66, 66), (128, 128), (8, 2)] {
                    var random = Random(UInt64(dim))
                    let tokens = 3, heads = 2, stride = heads * dim + 5, half = rot / 2
                    let x = random.floats(tokens * stride), cos = random.floats(10 * half), sin = random.floats(10 * half)
                    for (style, rows) in [(NT_ROPE_HALF, [9, 0, 4]), (NT_ROPE_INTERLEAVED, [2, 2, 7])] as [(nt_rope_style, [Int32])] {
                        var y = x
                        nt_rope(&y, tokens, stride, heads, dim, rot, cos, sin, rows, style)
                        var expected = x.map(Double.init)
                        for t in 0..<tokens { for h in 0..<heads { for i in 0..<half {
                            let base = t * stride + h * dim
                            let p = style == NT_ROPE_HALF ? base + i : base + 2 * i, q = style == NT_ROPE_HALF ? p + half : p + 1
                            let c = Double(cos[Int(rows[t]) * half + i]), s = Double(sin[Int(rows[t]) * half + i])
                            (expected[p], expected[q]) = (Double(x[p]) * c - Double(x[q]) * s, Double(x[q]) * c + Double(x[p]) * s)
                        } } }
                        for i in x.indices { #expect(abs(Double(y[i]) - expected[i]) <= 3e-7, "level \(level.rawValue) dim \(dim) rot \(rot) at \(i)") }
                        for t in 0..<tokens { for i in 0..<5 { #expect(y[t * stride + heads * dim + i] == x[t * stride + heads * dim + i]) } }
                    }
                    var a = x, b = x
                    nt_rope(&a, tokens, stride, heads, dim, rot, cos, sin, nil, NT_ROPE_HALF)
                    nt_rope(&b, tokens, stride, heads, dim, rot, cos, sin, [0, 1, 2], NT_ROPE_HALF)
                    #expect(sameBits(a, b))
                }
            }
        }
    }

    @Suite struct Sampling {
        @Test func reductionsOfLogits() {
            Kernels.forEachLevel { level in
                for n in [1, 15, 16, 17, 31, 33, 65, 1000, 3001] {
                    var random = Random(UInt64(n) + 11)
                    var x = random.floats(n, scale: 12)
                    if n > 20 { x[3] = .nan; x[n - 1] = .nan; x[7] = -.infinity; x[11] = x[12] }
                    let clean = x.map { $0.isNaN ? -Float.infinity : $0 }
                    let top = clean.max() ?? 0
                    #expect(nt_max(x, n) == top, "level \(level.rawValue) n \(n)")
                    #expect(nt_argmax(x, n) == clean.firstIndex(of: top))
                    let sum = clean.reduce(0.0) { $0 + exp(Double($1) - 2) }
                    #expect(abs(Double(nt_sum_exp(x, n, 2)) - sum) <= 1e-5 * sum)
                    #expect(abs(Double(nt_logsumexp(x, n)) - (log(sum) + 2)) <= 1e-5)
                    for value: Float in [clean[n / 2], 0, top, -Float.infinity] {
                        #expect(nt_count_larger(x, n, value) == clean.filter { $0 > value }.count)
                    }
                }
                #expect(nt_argmax([1, 5, 5, 2], 4) == 1)
                #expect(nt_argmax([.nan, .nan], 2) == 0)
                #expect(nt_argmax([], 0) == 0)
                #expect(nt_max([], 0) == -.infinity)
                #expect(nt_logsumexp([-.infinity, .nan], 2) == -.infinity)
                #expect(nt_argmax([.nan, -.infinity, 3, .infinity], 4) == 3)
            }
        }
    }
}
