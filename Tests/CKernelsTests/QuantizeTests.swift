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
    /// Quantisers of rows for writing.
    @Suite struct Quantize {
        /// Root mean square error on gaussian rows over their deviation that llama.cpp's quantisers have (ggml 0.25.3, without and with
        /// an importance of exp(gaussian), weighed by it): measured on 32 rows of 4096. Ours must not be worse.
        static let llama: [(nt_type, Double, Double)] = [
            (NT_Q4_0, 0.08574, 0.09934), (NT_Q4_1, 0.07827, 0.08199), (NT_Q5_0, 0.04256, 0.04924), (NT_Q5_1, 0.03774, 0.03973),
            (NT_Q8_0, 0.00533, 0.00684), (NT_Q2_K, 0.29561, 0.30477), (NT_Q3_K, 0.15060, 0.17231), (NT_Q4_K, 0.07131, 0.08320),
            (NT_Q5_K, 0.03608, 0.04236), (NT_Q6_K, 0.01774, 0.02077), (NT_IQ4_NL, 0.07578, 0.09026), (NT_IQ4_XS, 0.07638, 0.09119),
            (NT_MXFP4, 0.11390, 0.14692),
        ]

        static func gaussians(_ count: Int, _ random: inout Random) -> [Float] {
            (0..<count).map { _ in
                let u = Double(random.next() >> 11 | 1) * 0x1p-53, v = Double(random.next() >> 11) * 0x1p-53
                return Float((-2 * log(u)).squareRoot() * cos(2 * Double.pi * v))
            }
        }

        static func roundTrip(_ type: nt_type, _ x: [Float], importance: [Float]?) -> [Float] {
            var row = [UInt8](repeating: 0xAA, count: nt_row_bytes(type, x.count) + 1), y = [Float](repeating: .nan, count: x.count)
            #expect(nt_quantize_row(type, x, &row, x.count, importance))
            #expect(row[row.count - 1] == 0xAA, "wrote behind the row")
            #expect(nt_dequantize_row(type, row, &y, x.count))
            return y
        }

        @Test func errorIsNoLargerThanLlamas() {
            var random = Random(51)
            let k = 32768, x = Self.gaussians(k, &random).map { $0 * 0.02 }, importance = Self.gaussians(k, &random).map { expf($0) }
            let total = importance.reduce(0.0) { $0 + Double($1) }
            for (type, plain, weighted) in Self.llama {
                #expect(nt_can_quantize(type))
                let a = Self.roundTrip(type, x, importance: nil), b = Self.roundTrip(type, x, importance: importance)
                var plainSum = 0.0, weightedSum = 0.0
                for i in 0..<k {
                    plainSum += Double(x[i] - a[i]) * Double(x[i] - a[i])
                    weightedSum += Double(importance[i]) * Double(x[i] - b[i]) * Double(x[i] - b[i])
                }
                // the measured weighted figures are per weight of exp(1/2) on average
                let plainError = (plainSum / Double(k)).squareRoot() / 0.02
                let weightedError = (weightedSum / total * exp(0.5)).squareRoot() / 0.02
                #expect(plainError <= plain * 1.01, "type \(type.rawValue): \(plainError)")
                #expect(weightedError <= weighted * 1.02, "type \(type.rawValue): \(weightedError)")
            }
        }

        @Test func anyInputGivesFiniteWeights() {
            var random = Random(52)
            let k = 256
            var cases: [[Float]] = [
                [Float](repeating: 0, count: k), [Float](repeating: -3, count: k), [Float](repeating: 1e-30, count: k),
                [Float](repeating: 1e-7, count: k), [Float](repeating: .infinity, count: k), [Float](repeating: .nan, count: k),
                [Float](repeating: -.greatestFiniteMagnitude, count: k), (0..<k).map { $0 == 100 ? -5 : 0 },
            ]
            cases.append((0..<k).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) })
            let weights: [[Float]?] = [nil, [Float](repeating: 0, count: k), [Float](repeating: .nan, count: k), [Float](repeating: 1e30, count: k)]
            for (type, _, _) in Self.llama {
                for (number, x) in cases.enumerated() {
                    for importance in weights {
                        let y = Self.roundTrip(type, x, importance: importance)
                        #expect(y.allSatisfy { $0.isFinite }, "type \(type.rawValue) case \(number)")
                        if number == 0 { #expect(y.allSatisfy { $0 == 0 }, "type \(type.rawValue)") }
                        if number == 1 { #expect(y.allSatisfy { abs($0 + 3) < 0.5 }, "type \(type.rawValue)") }
                    }
                }
            }
        }

        @Test func bytesDoNotDependOnTheLevelAndTypesWithoutQuantiserAreRefused() {
            var random = Random(53)
            let x = Self.gaussians(512, &random)
            for (type, _, _) in Self.llama {
                var first: [Float]?
                Kernels.forEachLevel { _ in
                    let y = Self.roundTrip(type, x, importance: nil)
                    #expect(first.map { sameBits($0, y) } ?? true, "type \(type.rawValue)")
                    first = y
                }
            }
            var row = [UInt8](repeating: 0, count: 1024)
            #expect(!nt_quantize_row(NT_IQ2_S, x, &row, 512, nil))
            #expect(!nt_quantize_row(NT_Q4_K, x, &row, 100, nil))
            #expect(!nt_can_quantize(NT_F32))
        }
    }
}
