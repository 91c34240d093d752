import CKernels
import Testing

extension Kernels {
    /// Products over row-major f32, f16 and bf16 weights.
    @Suite struct LinearRows {
        static let pairs: [(nt_act, nt_type)] = [
            (NT_ACT_F32, NT_F32), (NT_ACT_F32, NT_F16), (NT_ACT_F32, NT_BF16), (NT_ACT_BF16, NT_BF16),
        ]

        /// A problem with its inputs as stored and as numbers. Weights start one element past an aligned address.
        struct Problem {
            let act: nt_act, type: nt_type, m: Int, n: Int, k: Int
            var x: [UInt8], w: [UInt8], xv: [Float], wv: [Float], bias: [Float]

            init(_ act: nt_act, _ type: nt_type, _ m: Int, _ n: Int, _ k: Int, seed: UInt64) {
                var random = Random(seed)
                (self.act, self.type, self.m, self.n, self.k) = (act, type, m, n, k)
                xv = random.floats(m * k)
                wv = random.floats(n * k)
                bias = random.floats(n)
                if act == NT_ACT_BF16 {
                    let h = xv.map(bf16)
                    (x, xv) = (bytes(of: h), h.map { float(bf16: $0) })
                } else {
                    x = bytes(of: xv)
                }
                switch type {
                case NT_F16:
                    let h = wv.map(f16)
                    (w, wv) = (bytes(of: h), h.map { float(f16: $0) })
                case NT_BF16:
                    let h = wv.map(bf16)
                    (w, wv) = (bytes(of: h), h.map { float(bf16: $0) })
                default: w = bytes(of: wv)
                }
                w = [0, 0] + w                                  // two-byte aligned only
            }

            /// Rows of x from `row`, columns cut at `cuts`, into y (which starts as `start` when accumulating).
            func run(row: Int = 0, rows: Int? = nil, cuts: [Int] = [], accumulate: Bool = false, useBias: Bool = true,
                     start: Float = 0) -> [Float] {
                let rows = rows ?? m
                var y = [Float](repeating: start, count: max(rows * (n + 3), 1))
                let xs = k * (act == NT_ACT_BF16 ? 2 : 4)
                x.withUnsafeBytes { x in w.withUnsafeBytes { w in bias.withUnsafeBufferPointer { b in y.withUnsafeMutableBufferPointer { y in
                    let edges = [0] + cuts + [n]
                    for (begin, end) in zip(edges, edges.dropFirst()) {
                        var args = nt_linear_args()
                        args.x = x.baseAddress.map { $0 + row * xs }
                        args.x_stride = xs
                        args.x_type = act
                        args.w = w.baseAddress! + 2
                        args.w_type = type
                        (args.m, args.n, args.k) = (rows, n, k)
                        (args.n_begin, args.n_end) = (begin, end)
                        args.bias = useBias ? b.baseAddress : nil
                        args.y = y.baseAddress
                        args.y_stride = n + 3
                        args.accumulate = accumulate
                        nt_linear(&args)
                    }
                } } } }
                for r in 0..<rows { for j in n..<(n + 3) { #expect(y[r * (n + 3) + j] == start, "wrote behind column n") } }
                return (0..<rows).flatMap { r in (0..<n).map { y[r * (n + 3) + $0] } }
            }
        }

        @Test func matchesDoublePrecision() {
            let shapes = [(1, 1, 1), (1, 5, 16), (2, 4, 31), (3, 17, 33), (4, 16, 64), (5, 3, 65), (7, 33, 100), (9, 8, 15), (16, 63, 32), (1, 64, 576), (6, 5, 3333)]
            Kernels.forEachLevel { level in
                for (act, type) in Self.pairs {
                    for (i, (m, n, k)) in shapes.enumerated() {
                        let p = Problem(act, type, m, n, k, seed: UInt64(10 + i))
                        let y = p.run(), added = p.run(accumulate: true, useBias: false, start: 2)
                        for r in 0..<m {
                            for c in 0..<n {
                                var sum = 0.0, size = 0.0
                                for j in 0..<k {
                                    let t = Double(p.xv[r * k + j]) * Double(p.wv[c * k + j])
                                    sum += t
                                    size += abs(t)
                                }
                                let tolerance = 1e-6 * (size + 3)
                                let place: Comment = "level \(level.rawValue) x \(act.rawValue) w \(type.rawValue) m \(m) n \(n) k \(k) at \(r),\(c)"
                                #expect(abs(Double(y[r * n + c]) - sum - Double(p.bias[c])) <= tolerance, place)
                                #expect(abs(Double(added[r * n + c]) - sum - 2) <= tolerance, place)
                            }
                        }
                    }
                }
            }
        }

        @Test func rowsHaveTheSameBitsInAnyBatchAndSplit() {
            Kernels.forEachLevel { level in
                for (act, type) in Self.pairs {
                    // tall (tiles fetch in between), very tall (two blocks of rows), and long rows (summed in parts)
                    for (m, n, k) in [(21, 37, 200), (6, 19, 576), (19, 8, 33), (40, 13, 70), (261, 11, 17), (9, 9, 5333)] {
                        let p = Problem(act, type, m, n, k, seed: 77)
                        let whole = p.run(), cut = p.run(cuts: [1, 3, 7])
                        #expect(sameBits(whole, cut), "level \(level.rawValue) w \(type.rawValue)")
                        for row in Swift.Set([0, 1, 2, 3, 5, 8, m / 2, m - 2, m - 1]).filter({ $0 < m }) {
                            let alone = p.run(row: row, rows: 1, cuts: [5])
                            #expect(sameBits(alone, Array(whole[(row * n)..<(row * n + n)])), "level \(level.rawValue) w \(type.rawValue) row \(row)")
                        }
                        for (row, rows) in [(0, 2), (1, 3), (2, 4)] {
                            #expect(sameBits(p.run(row: row, rows: rows), Array(whole[(row * n)..<((row + rows) * n)])))
                        }
                    }
                }
            }
        }

        @Test func emptyCallsTouchNothing() {
            Kernels.forEachLevel { _ in
                let p = Problem(NT_ACT_F32, NT_F32, 2, 4, 8, seed: 5)
                #expect(p.run(rows: 0).isEmpty)
                #expect(p.run(cuts: [2, 2]).count == 8)
                #expect(!nt_linear_supports(NT_ACT_BF16, NT_F16))
                #expect(nt_linear_supports(NT_ACT_Q8, NT_Q4_1))
            }
        }
    }
}
