/// A few weights that share a scale, rounded to 4-bit codes.
struct GroupRounding {
    /// Codes that stand for zero: `w = (code - zero) * scale`.
    var zero: Int
    var scale: Float
    /// The scale as the file holds it.
    var scaleBits: UInt16

    /// Rounds a scale to the type that the file holds.
    typealias ScaleType = (Float) -> (bits: UInt16, value: Float)

    /// Of some scales around the one that spans all weights, the one with the least squared error: clipping an outlier often serves the rest.
    /// - Parameter isSymmetric: the zero point is 8.
    static func fit(
        _ weights: UnsafeBufferPointer<Float>, isSymmetric: Bool, scaleType: ScaleType
    ) -> GroupRounding {
        var low: Float = 0, high: Float = 0
        for weight in weights {
            low = min(low, weight)
            high = max(high, weight)
        }
        var best = GroupRounding(zero: 8, scale: 1, scaleBits: scaleType(1).bits), least = Float.infinity
        for step in 0..<16 {
            let share = 1 - Float(step) * 0.025
            let wanted = isSymmetric ? max(-low / 8, high / 7.5) * share : (high - low) * share / 15
            // The smallest normal half: below it scales lose their bits.
            let (bits, scale) = scaleType(max(wanted, 0x1p-14))
            let zero = isSymmetric ? 8 : max(0, min(15, Int((-low * share / scale).rounded())))
            let candidate = GroupRounding(zero: zero, scale: scale, scaleBits: bits)
            let error = candidate.error(weights)
            if error < least { (best, least) = (candidate, error) }
        }
        return best
    }

    @inline(__always)
    func code(_ weight: Float) -> UInt8 {
        UInt8(max(0, min(15, (weight / scale).rounded(.toNearestOrEven) + Float(zero))))
    }

    @inline(__always)
    func value(_ code: UInt8) -> Float { Float(Int(code) - zero) * scale }

    private func error(_ weights: UnsafeBufferPointer<Float>) -> Float {
        var sum: Float = 0
        for index in weights.indices {
            let difference = weights[index] - value(code(weights[index]))
            sum += difference * difference
        }
        return sum
    }
}
