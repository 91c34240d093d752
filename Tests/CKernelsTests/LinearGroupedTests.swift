import CKernels
import Testing

extension Kernels {
    /// Products over panels of grouped codes.
    @Suite struct LinearGrouped {
        struct Problem {
            let m: Int, reference: GroupedReference
            var plan = nt_grouped(), act = NT_ACT_F32
            /// `x` as the kernels get it and the numbers it stands for.
            var x: [Float], narrow: [UInt8] = [], narrowValues: [Double], packed: [UInt8], bias: [Float], stride: Int

            init(_ reference: GroupedReference, m: Int, seed: UInt64) {
                (self.m, self.reference) = (m, reference)
                let n = reference.n, k = reference.k
                var random = Random(seed), plan = nt_grouped()
                x = random.floats(m * k, scale: 2)
                bias = random.floats(n)
                let planned = reference.withSource { nt_grouped_plan(&$0, &plan) }
                #expect(planned)
                var packed = [UInt8](repeating: 0xEE, count: nt_grouped_bytes(&plan, n, k))
                reference.withSource {
                    nt_grouped_pack(&$0, &plan, &packed, nt_panels(n) / 2, nt_panels(n))
                    nt_grouped_pack(&$0, &plan, &packed, 0, nt_panels(n) / 2)
                }
                self.packed = packed
                self.plan = plan
                act = nt_grouped_activation(&plan)
                if act == NT_ACT_Q8 {
                    stride = nt_q8_row_bytes(k)
                    narrow = [UInt8](repeating: 0, count: m * stride)
                    nt_quantize_rows_q8(x, k, m, k, &narrow, stride)
                    let blocks = (k + 31) / 32, size = stride
                    narrowValues = narrow.withUnsafeBytes { raw in
                        (0..<m * k).map { i in
                            let row = i / k * size, at = i % k
                            return Double(raw.load(fromByteOffset: row + at, as: Int8.self))
                                * Double(raw.load(fromByteOffset: row + 32 * blocks + at / 32 * 4, as: Float.self))
                        }
                    }
                } else {
                    let h = x.map(bf16)
                    stride = 2 * k + (k % 2 == 0 ? 0 : 2)
                    for row in 0..<m { narrow += bytes(of: Array(h[(row * k)..<(row * k + k)])) + (k % 2 == 0 ? [] : [0xFF, 0x7F]) }  // NaN behind a row
                    narrowValues = h.map { Double(float(bf16: $0)) }
                }
            }

            func run(_ act: nt_act, row: Int = 0, rows: Int? = nil, cuts: [Int] = [], accumulate: Bool = false, start: Float = 0, scratch: Bool = false) -> [Float] {
                let rows = rows ?? m, n = reference.n, k = reference.k, yStride = n + 1
                var y = [Float](repeating: start, count: rows * yStride)
                var plan = plan
                let scratchBytes = scratch ? nt_grouped_scratch_bytes(&plan, act, rows, k) : 0
                let memory = UnsafeMutableRawPointer.allocate(byteCount: scratchBytes + 64, alignment: 64)
                defer { memory.deallocate() }
                x.withUnsafeBytes { x in narrow.withUnsafeBytes { narrow in packed.withUnsafeBytes { w in
                    withUnsafePointer(to: plan) { plan in bias.withUnsafeBufferPointer { b in y.withUnsafeMutableBufferPointer { y in
                        let edges = [0] + cuts + [n]
                        for (begin, end) in zip(edges, edges.dropFirst()) {
                            var args = nt_linear_args()
                            args.x_stride = act == NT_ACT_F32 ? 4 * k : stride
                            args.x = (act == NT_ACT_F32 ? x : narrow).baseAddress! + row * args.x_stride
                            args.x_type = act
                            args.w = w.baseAddress
                            args.grouped = plan
                            (args.m, args.n, args.k) = (rows, n, k)
                            (args.n_begin, args.n_end) = (begin, end)
                            args.bias = b.baseAddress
                            args.y = y.baseAddress
                            args.y_stride = yStride
                            args.accumulate = accumulate
                            args.scratch = memory
                            args.scratch_bytes = scratchBytes
                            nt_linear(&args)
                        }
                    } } }
                } } }
                for r in 0..<rows { #expect(y[r * yStride + n] == start, "wrote behind column n") }
                return (0..<rows).flatMap { r in (0..<n).map { y[r * yStride + $0] } }
            }

            /// - Parameter error: of a weight as the kernel sees it, relative.
            func check(_ act: nt_act, error: Double, _ place: Comment) {
                let n = reference.n, k = reference.k
                let y = run(act), added = run(act, accumulate: true, start: 1)
                for r in 0..<m {
                    for c in 0..<n {
                        var sum = Double(bias[c]), size = 1e-3
                        for j in 0..<k {
                            let a = act == NT_ACT_F32 ? Double(x[r * k + j]) : narrowValues[r * k + j]
                            sum += a * reference.weights[c][j]
                            size += abs(a * reference.weights[c][j])
                        }
                        let tolerance = error * size + 1e-6
                        if abs(Double(y[r * n + c]) - sum) > tolerance { Issue.record("\(place) at \(r),\(c): \(y[r * n + c]), wanted \(sum)") }
                        if abs(Double(added[r * n + c]) - sum - 1) > tolerance { Issue.record("\(place) added at \(r),\(c)") }
                    }
                }
            }
        }

        /// Every kind of code, scale and zero; groups that fill the row, leave a rest, halve a block; rows that end inside a block.
        static func references(n: Int, seed: UInt64) -> [GroupedReference] {
            let shapes = [(24, 24), (144, 128), (272, 272), (272, 16), (96, 32), (288, 64), (1, 1), (37, 48), (160, 128), (144, 48)]
            return shapes.flatMap { k, group -> [GroupedReference] in
                GroupedReference.Zeros.allCases.flatMap {
                    [
                        GroupedReference(NT_CODE_UINT4, n, k, group: group, scales: .f16, zeros: $0, seed: seed),
                        GroupedReference(NT_CODE_INT8, n, k, group: group, scales: .f32, zeros: $0, seed: seed + 1),
                    ]
                } + [
                    GroupedReference(NT_CODE_FLOAT8, n, k, group: group, scales: .f32, seed: seed + 2),
                    GroupedReference(NT_CODE_TABLE4, n, k, group: group, scales: .bf16, table: GroupedReference.e2m1, seed: seed + 3),
                    GroupedReference(NT_CODE_TABLE4, n, k, group: group, scales: .f32, table: GroupedReference.nf4, seed: seed + 4),
                ]
            }
        }

        @Test func matchesDoublePrecision() {
            Kernels.forEachLevel { level in
                for reference in Self.references(n: 19, seed: 41) {
                    let p = Problem(reference, m: 5, seed: 42)
                    let place: Comment = "level \(level.rawValue) code \(reference.code.rawValue) k \(reference.k) group \(reference.group) zeros \(p.plan.zero_kind.rawValue)"
                    p.check(NT_ACT_F32, error: 1e-6, place)
                    // values of a table that is no table of integers are rounded to bfloat16 there; zeros are taken off after the sum
                    p.check(p.act, error: reference.table != nil && !p.plan.integers ? 0x1p-8 : 4e-6, place)
                }
            }
        }

        @Test func rowsHaveTheSameBitsInAnyBatchAndSplit() {
            Kernels.forEachLevel { level in
                for reference in Self.references(n: 53, seed: 43) where [144, 272].contains(reference.k) {
                    let m = 27, n = 53, p = Problem(reference, m: m, seed: 44)
                    for act in [p.act, NT_ACT_F32] {
                        let place: Comment = "level \(level.rawValue) code \(reference.code.rawValue) act \(act.rawValue)"
                        let whole = p.run(act)
                        #expect(sameBits(whole, p.run(act, cuts: [1, 16, 30, 48])), place)
                        #expect(sameBits(whole, p.run(act, cuts: [1, 20, 48], scratch: true)), place)
                        for row in [0, 1, 7, 8, 13, 25, 26] {
                            #expect(sameBits(p.run(act, row: row, rows: 1), Array(whole[(row * n)..<(row * n + n)])), place)
                        }
                        for rows in [2, 3, 4, 5, 7, 8, 9, 15, 16] {
                            #expect(sameBits(p.run(act, row: 3, rows: rows), Array(whole[(3 * n)..<((3 + rows) * n)])), place)
                        }
                    }
                }
            }
        }

        @Test func layoutsTakeNoMoreThanTheyNeed() {
            var plan = nt_grouped()
            func bits(_ reference: GroupedReference) -> Double {
                #expect(reference.withSource { nt_grouped_plan(&$0, &plan) })
                return Double(8 * nt_grouped_bytes(&plan, reference.n, reference.k)) / Double(reference.n * reference.k)
            }
            #expect(bits(GroupedReference(NT_CODE_UINT4, 16, 2048, group: 128, scales: .f16, zeros: .whole, seed: 1)) < 4.2)
            #expect(plan.scale_type == NT_F16 && plan.zero_kind == NT_ZERO_I8)
            #expect(bits(GroupedReference(NT_CODE_UINT4, 16, 2048, group: 32, scales: .f16, zeros: .whole, seed: 1)) <= 4.75)
            #expect(bits(GroupedReference(NT_CODE_UINT4, 16, 2048, group: 32, scales: .f16, zeros: .same, seed: 1)) == 4.5)
            #expect(plan.zero_kind == NT_ZERO_SAME && plan.zero == 8)
            #expect(bits(GroupedReference(NT_CODE_TABLE4, 16, 2048, group: 32, scales: .bf16, table: GroupedReference.e2m1, seed: 1)) == 4.5)
            #expect(plan.scale_type == NT_BF16 && plan.integers && plan.factor == 0.5)
            #expect(bits(GroupedReference(NT_CODE_TABLE4, 16, 2048, group: 64, scales: .f32, table: GroupedReference.nf4, seed: 1)) == 4.5)
            #expect(!plan.integers)
            #expect(bits(GroupedReference(NT_CODE_INT8, 16, 2048, group: 2048, scales: .f32, seed: 1)) < 8.1)
        }

        @Test func refusesWhatHasNoProduct() {
            var plan = nt_grouped()
            let odd = GroupedReference(NT_CODE_UINT4, 3, 48, group: 24, scales: .f16, seed: 1)
            #expect(!odd.withSource { nt_grouped_plan(&$0, &plan) })
            let zeros = GroupedReference(NT_CODE_FLOAT8, 3, 32, group: 32, scales: .f16, zeros: .same, seed: 1)
            #expect(!zeros.withSource { nt_grouped_plan(&$0, &plan) })
            for reference in Self.references(n: 3, seed: 45) + [odd, zeros] {
                var row = [Float](repeating: .nan, count: reference.k)
                reference.withSource { nt_grouped_dequantize_row(&$0, 2, &row) }
                #expect(zip(row, reference.weights[2]).allSatisfy { abs(Double($0) - $1) <= 0x1p-23 * abs($1) })
            }
        }

        /// Codes of full range against activations of full range.
        @Test func extremeCodesDoNotSaturate() {
            let k = 64, n = 16
            Kernels.forEachLevel { level in
                for code: UInt8 in [0x80, 0x7F, 0xFF, 0x00] {
                    for sign: Float in [1, -1] {
                        var reference = GroupedReference(NT_CODE_INT8, n, k, group: k, scales: .f16, seed: 1)
                        reference.codes = [UInt8](repeating: code, count: n * k)
                        reference.scales = [Float](repeating: 1, count: n)
                        var p = Problem(reference, m: 1, seed: 2)
                        p.bias = [Float](repeating: 0, count: n)
                        nt_quantize_rows_q8([Float](repeating: 127 * sign, count: k), k, 1, k, &p.narrow, p.stride)
                        #expect(p.run(NT_ACT_Q8).allSatisfy { $0 == Float(Int8(bitPattern: code)) * 127 * sign * Float(k) }, "level \(level.rawValue) code \(code)")
                    }
                }
            }
        }
    }
}
