import Sampling
import Testing

@Suite struct PhiloxTests {
    /// Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
    @Test func knownAnswers() {
        #expect(Philox.words(key: 0, counter: 0) == SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
        #expect(
            Philox.words(key: .max, counter: .max, stream: .max) == SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
        #expect(
            Philox.words(key: 0x299f_31d0_a409_3822, counter: 0x85a3_08d3_243f_6a88, stream: 0x0370_7344_1319_8a2e)
                == SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
    }

    @Test func uniformsFillTheUnitInterval() {
        var buckets = Array(repeating: 0, count: 16)
        for position in 0..<16_000 {
            let u = Philox.uniform(seed: 7, position: position)
            #expect(u >= 0 && u < 1)
            buckets[Int(u * 16)] += 1
        }
        let chiSquare = buckets.reduce(0.0) { $0 + (Double($1) - 1000) * (Double($1) - 1000) / 1000 }
        #expect(chiSquare < 37.7)  // 15 degrees of freedom, p = 0.001
    }
}
