import Glibc

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014): the same numbers for the same seed on
/// every machine.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    /// Uniform in (0, 1).
    package mutating func unit() -> Double { (Double(next() >> 12) + 0.5) * 0x1p-52 }

    /// Standard normal, by Box and Muller.
    package mutating func normal() -> Double { (-2 * log(unit())).squareRoot() * cos(2 * Double.pi * unit()) }

    /// Gamma of scale 1, by Marsaglia and Tsang ("A simple method for generating gamma variables", TOMS 2000).
    /// - Parameter shape: above 0; 1 is the exponential distribution.
    package mutating func gamma(shape: Double) -> Double {
        guard shape >= 1 else { return gamma(shape: shape + 1) * pow(unit(), 1 / shape) }
        let d = shape - 1.0 / 3, c = 1 / (9 * d).squareRoot()
        while true {
            let x = normal(), v = (1 + c * x) * (1 + c * x) * (1 + c * x)
            if v > 0, log(unit()) < x * x / 2 + d - d * v + d * log(v) { return d * v }
        }
    }
}
