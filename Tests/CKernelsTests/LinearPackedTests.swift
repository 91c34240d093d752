import CKernels
import Testing

extension Kernels {
    /// Products over GGUF block types: repacked, or expanded from what the file stores.
    @Suite struct LinearPacked {
        static let types = GGUFReference.packable + GGUFReference.expanded

        struct Problem {
            let type: nt_type, m: Int, n: Int, k: Int
            var x: [Float], q8: [UInt8], q8Values: [Double], packed: [UInt8], weights: [[Double]], bias: [Float]

            init(_ type: nt_type, _ m: Int, _ n: Int, _ k: Int, seed: UInt64) {
                var random = Random(seed)
                (self.type, self.m, self.n, self.k) = (type, m, n, k)
                x = random.floats(m * k, scale: 2)
                bias = random.floats(n)
                let packable = nt_type_is_packable(type)
                let rows = (0..<n).map { _ in packable ? GGUFReference.randomRow(type, k, &random) : GGUFFixture.randomRow(type, k, &random) }
                let stored = rows.flatMap { $0 }, panels = nt_panels(n)
                if packable {
                    weights = rows.map { GGUFReference.dequantize(type, $0, k) }
                    packed = [UInt8](repeating: 0xEE, count: nt_packed_bytes(type, n, k))
                    nt_pack(type, stored, n, k, &packed, 0, panels / 2)
                    nt_pack(type, stored, n, k, &packed, panels / 2, panels)
                } else {
                    weights = rows.map { row in
                        var values = [Float](repeating: .nan, count: k)
                        _ = nt_dequantize_row(type, row, &values, k)
                        return values.map { Double($0) }
                    }
                    packed = stored
                }
                let size = nt_q8_row_bytes(k), blocks = k / 32
                q8 = [UInt8](repeating: 0, count: m * size)
                nt_quantize_rows_q8(x, k, m, k, &q8, size)
                q8Values = q8.withUnsafeBytes { raw in
                    (0..<m * k).map { i in
                        let row = i / k * size, at = i % k
                        return Double(raw.load(fromByteOffset: row + at, as: Int8.self))
                            * Double(raw.load(fromByteOffset: row + 32 * blocks + at / 32 * 4, as: Float.self))
                    }
                }
            }

            func run(_ act: nt_act, row: Int = 0, rows: Int? = nil, cuts: [Int] = [], accumulate: Bool = false, start: Float = 0) -> [Float] {
                let rows = rows ?? m, stride = n + 1
                var y = [Float](repeating: start, count: rows * stride)
                var scratch = [UInt8](repeating: 0, count: nt_linear_scratch_bytes(act, type, rows, k) + 64)
                x.withUnsafeBytes { x in q8.withUnsafeBytes { q8 in packed.withUnsafeBytes { w in scratch.withUnsafeMutableBytes { s in
                    bias.withUnsafeBufferPointer { b in y.withUnsafeMutableBufferPointer { y in
                        let edges = [0] + cuts + [n]
                        for (begin, end) in zip(edges, edges.dropFirst()) {
                            var args = nt_linear_args()
                            args.x_stride = act == NT_ACT_F32 ? 4 * k : nt_q8_row_bytes(k)
                            args.x = (act == NT_ACT_F32 ? x : q8).baseAddress! + row * args.x_stride
                            args.x_type = act
                            args.w = w.baseAddress
                            args.w_type = type
                            (args.m, args.n, args.k) = (rows, n, k)
                            (args.n_begin, args.n_end) = (begin, end)
                            args.bias = b.baseAddress
                            args.y = y.baseAddress
                            args.y_stride = stride
                            args.accumulate = accumulate
                            args.scratch = s.baseAddress
                            nt_linear(&args)
                        }
                    } }
                } } } }
                for r in 0..<rows { #expect(y[r * stride + n] == start, "wrote behind column n") }
                return (0..<rows).flatMap { r in (0..<n).map { y[r * stride + $0] } }
            }
        }

        static func shapes(_ type: nt_type) -> [(Int, Int, Int)] {
            let block = nt_block_elements(type)
            return [(1, 1, block), (2, 17, 2 * block), (3, 16, block), (11, 33, 3 * block), (8, 15, block)]
        }

        @Test func matchesDoublePrecision() {
            Kernels.forEachLevel { level in
                for type in Self.types {
                    for (m, n, k) in Self.shapes(type) {
                        let p = Problem(type, m, n, k, seed: 31)
                        for act in [NT_ACT_Q8, NT_ACT_F32] {
                            let y = p.run(act), added = p.run(act, accumulate: true, start: 1)
                            for r in 0..<m {
                                for c in 0..<n {
                                    var sum = Double(p.bias[c]), size = 1.0
                                    for j in 0..<k {
                                        let a = act == NT_ACT_Q8 ? p.q8Values[r * k + j] : Double(p.x[r * k + j])
                                        sum += a * p.weights[c][j]
                                        size += abs(a * p.weights[c][j])
                                    }
                                    let place: Comment = "level \(level.rawValue) type \(type.rawValue) act \(act.rawValue) m \(m) n \(n) k \(k) at \(r),\(c)"
                                    #expect(abs(Double(y[r * n + c]) - sum) <= 1e-6 * size, place)
                                    #expect(abs(Double(added[r * n + c]) - sum - 1) <= 1e-6 * (size + 1), place)
                                }
                            }
                        }
                    }
                }
            }
        }

        @Test func rowsHaveTheSameBitsInAnyBatchAndSplit() {
            Kernels.forEachLevel { level in
                for type in Self.types {
                    let block = nt_block_elements(type), k = block < 256 && !nt_type_is_packable(type) ? 640 : 2 * block, m = 27, n = 53
                    let p = Problem(type, m, n, k, seed: 32)
                    for act in [NT_ACT_Q8, NT_ACT_F32] {
                        let place: Comment = "level \(level.rawValue) type \(type.rawValue) act \(act.rawValue)"
                        let whole = p.run(act)
                        #expect(sameBits(whole, p.run(act, cuts: [1, 16, 30, 48])), place)
                        for row in 0..<m {
                            #expect(sameBits(p.run(act, row: row, rows: 1), Array(whole[(row * n)..<(row * n + n)])), place)
                        }
                        for rows in 2...16 {
                            #expect(sameBits(p.run(act, row: 3, rows: rows), Array(whole[(3 * n)..<((3 + rows) * n)])), place)
                        }
                    }
                }
            }
        }

        /// The int8 path at its extremes: codes of full range against activations of full range.
        @Test func extremeCodesDoNotSaturate() {
            let k = 64, n = 16
            Kernels.forEachLevel { level in
                for code: UInt8 in [0x80, 0x7F, 0xFF, 0x00] {
                    for sign: Float in [1, -1] {
                        var stored: [UInt8] = []
                        for _ in 0..<n * k / 32 { stored += [0x00, 0x3C] + [UInt8](repeating: code, count: 32) }   // d = 1
                        var packed = [UInt8](repeating: 0, count: nt_packed_bytes(NT_Q8_0, n, k))
                        nt_pack(NT_Q8_0, stored, n, k, &packed, 0, 1)
                        var q8 = [UInt8](repeating: 0, count: nt_q8_row_bytes(k)), y = [Float](repeating: 0, count: n)
                        nt_quantize_rows_q8([Float](repeating: 127 * sign, count: k), k, 1, k, &q8, q8.count)
                        packed.withUnsafeBytes { w in q8.withUnsafeBytes { x in y.withUnsafeMutableBufferPointer { y in
                            var args = nt_linear_args()
                            (args.x, args.x_stride, args.x_type) = (x.baseAddress, x.count, NT_ACT_Q8)
                            (args.w, args.w_type, args.m, args.n, args.k) = (w.baseAddress, NT_Q8_0, 1, n, k)
                            (args.n_end, args.y, args.y_stride) = (n, y.baseAddress, n)
                            nt_linear(&args)
                        } } }
                        let expected = Float(Int8(bitPattern: code)) * 127 * sign * Float(k)
                        #expect(y.allSatisfy { $0 == expected }, "level \(level.rawValue) code \(code)")
                    }
                }
            }
        }
    }
}
