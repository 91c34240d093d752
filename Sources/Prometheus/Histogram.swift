/// Counts by bucket, as Prometheus wants them.
package struct Histogram: Sendable, Equatable {
    /// Upper bounds, inclusive, ascending; above the last is `+Inf`.
    package let bounds: [Double]
    /// `[bounds + 1]`, not cumulative.
    package private(set) var counts: [UInt64]
    package private(set) var sum = 0.0
    package private(set) var count: UInt64 = 0

    package init(bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    package mutating func observe(_ value: Double, times: UInt64 = 1) {
        var bucket = 0
        while bucket < bounds.count, value > bounds[bucket] { bucket += 1 }
        counts[bucket] += times
        sum += value * Double(times)
        count += times
    }

    /// vLLM's 1-2-5 decades up to `limit`, which is the last bound.
    package static func decades(upTo limit: Int) -> [Double] {
        var bounds: [Double] = []
        var decade = 1
        while decade <= limit {
            for factor in [1, 2, 5] where decade * factor <= limit { bounds.append(Double(decade * factor)) }
            decade *= 10
        }
        return bounds
    }
}
