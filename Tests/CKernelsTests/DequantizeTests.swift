import CKernels
import Testing

extension Kernels {
    @Suite struct Dequantize {
        @Test func everyBlockTypeMatchesTheSpecification() throws {
            var random = Random(1)
            for type in GGUFReference.all {
                let k = 512, row = GGUFReference.randomRow(type, k, &random)
                let expected = GGUFReference.dequantize(type, row, k)
                var out = [Float](repeating: 0, count: k)
                let ok = ([0] + row).withUnsafeBytes { nt_dequantize_row(type, $0.baseAddress! + 1, &out, k) }
                #expect(ok)
                for i in 0..<k {
                    #expect(abs(Double(out[i]) - expected[i]) <= 1e-6 * (abs(expected[i]) + 1), "type \(type.rawValue) element \(i)")
                }
            }
        }

        @Test func refusesWhatItCannotRead() {
            var out = [Float](repeating: 7, count: 64)
            let row = [UInt8](repeating: 0, count: 512)
            #expect(!nt_dequantize_row(NT_Q4_K, row, &out, 64))
            #expect(!nt_dequantize_row(nt_type(99), row, &out, 32))
            #expect(out.allSatisfy { $0 == 7 })
            #expect(nt_row_bytes(NT_Q4_0, 33) == 0)
            #expect(nt_row_bytes(NT_Q6_K, 512) == 420)
            #expect(nt_packed_bytes(NT_IQ2_S, 16, 256) == 0)
        }

        @Test func gatherTakesRowsByIdAndZerosForUnknownIds() {
            Kernels.forEachLevel { _ in
                var random = Random(2)
                let k = 64, rows = (0..<5).map { _ in GGUFReference.randomRow(NT_Q8_0, k, &random) }
                let ids: [Int32] = [4, 0, -1, 5, 4]
                var out = [Float](repeating: 9, count: ids.count * 70)
                #expect(nt_gather_rows(NT_Q8_0, rows.flatMap { $0 }, 5, k, ids, ids.count, &out, 70))
                for (i, id) in ids.enumerated() {
                    var expected = [Float](repeating: 0, count: k)
                    if rows.indices.contains(Int(id)) { _ = nt_dequantize_row(NT_Q8_0, rows[Int(id)], &expected, k) }
                    #expect(sameBits(Array(out[(i * 70)..<(i * 70 + k)]), expected))
                    #expect(out[i * 70 + k] == 9)
                }
            }
        }
    }

    @Suite struct Conversions {
        @Test func halfToFloatIsExactForAllBits() {
            let all = (0...UInt16.max).map { $0 }
            Kernels.forEachLevel { _ in
                var out = [Float](repeating: 0, count: all.count)
                nt_f16_to_f32(all, &out, all.count)
                for (h, x) in zip(all, out) {
                    let expected = float(f16: h)
                    #expect(x == expected || (x.isNaN && expected.isNaN), "half \(h)")
                }
                nt_bf16_to_f32(all, &out, all.count)
                for (h, x) in zip(all, out) { #expect(x.bitPattern == UInt32(h) << 16) }
            }
        }

        @Test func narrowingRoundsToNearestEven() {
            var random = Random(3)
            var x: [Float] = [0, -0.0, 1, 65504, 65519.9, 65520, 1e-8, 5.9e-8, 6.1e-5, .infinity, -.infinity, 3.4e38, 2.98e-8, 2.9802323e-8]
            x += (0..<4000).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }
            x += random.floats(4001, scale: 8)
            Kernels.forEachLevel { level in
                var h = [UInt16](repeating: 0, count: x.count), b = h
                nt_f32_to_f16(x, &h, x.count)
                nt_f32_to_bf16(x, &b, x.count)
                for i in x.indices {
                    if x[i].isNaN {
                        #expect(float(f16: h[i]).isNaN && float(bf16: b[i]).isNaN)
                        continue
                    }
                    #expect(b[i] == bf16(x[i]))
                    let y = float(f16: h[i]), error = abs(y - x[i])
                    if y.isInfinite {
                        #expect(abs(x[i]) >= 65520, "level \(level.rawValue): \(x[i])")
                    } else {                                   // no neighbour is nearer, and a tie went to even
                        for step in [-1, 1] {
                            let other = UInt16(truncatingIfNeeded: Int(h[i]) + step), z = float(f16: other)
                            if z.isNaN || z.isInfinite || other & 0x7fff == 0x7fff { continue }
                            let rival = abs(z - x[i])
                            #expect(error < rival || z == y || (error == rival && h[i] % 2 == 0), "level \(level.rawValue): \(x[i])")
                        }
                    }
                }
            }
        }

        @Test func q8RowsHoldNearestCodesAndTheirSums() {
            var random = Random(4)
            for k in [1, 31, 32, 33, 64, 100] {
                let rows = 3, stride = k + 5
                var x = random.floats(rows * stride, scale: 3)
                for i in 0..<min(k, 32) { x[stride + i] = 0 }  // a block of zeros in row 1
                var first: [UInt8]?
                Kernels.forEachLevel { _ in
                    let size = nt_q8_row_bytes(k), blocks = (k + 31) / 32
                    var out = [UInt8](repeating: 0xAA, count: rows * size)
                    nt_quantize_rows_q8(x, stride, rows, k, &out, size)
                    out.withUnsafeBytes { raw in
                        for r in 0..<rows {
                            let row = UnsafeRawBufferPointer(rebasing: raw[(r * size)...])
                            for b in 0..<blocks {
                                let scale = row.loadUnaligned(fromByteOffset: 32 * blocks + 4 * b, as: Float.self)
                                let codes = (0..<32).map { Int(row.load(fromByteOffset: 32 * b + $0, as: Int8.self)) }
                                #expect(Int(row.loadUnaligned(fromByteOffset: 36 * blocks + 4 * b, as: Int32.self)) == -codes.reduce(0, +))
                                #expect(Int(row.loadUnaligned(fromByteOffset: 40 * blocks + 4 * b, as: Int32.self)) == -codes[16...].reduce(0, +))
                                #expect(row.loadUnaligned(fromByteOffset: 44 * blocks + 4 * b, as: Float.self) == scale * Float(codes.reduce(0, +)))
                                for i in 0..<32 {
                                    guard 32 * b + i < k else { #expect(codes[i] == 0); continue }
                                    #expect(abs(x[r * stride + 32 * b + i] - scale * Float(codes[i])) <= scale * 0.5001)
                                    #expect(abs(codes[i]) <= 127)
                                }
                            }
                        }
                    }
                    // every level writes the same row (behind the arrays lies padding that nobody writes)
                    if let first { #expect(first == out) } else { first = out }
                }
            }
        }
    }
}
