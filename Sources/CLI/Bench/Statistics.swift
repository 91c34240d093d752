/// Figures of a sample, with NumPy's definitions, which vLLM's reports use. All 0 for an empty sample.
package struct Statistics: Sendable, Equatable {
    private let sorted: [Double]
    package let mean: Double
    /// Of the population: divided by n.
    package let standardDeviation: Double

    package init(_ values: [Double]) {
        sorted = values.sorted()
        let count = Double(max(1, values.count))
        let mean = values.reduce(0, +) / count
        self.mean = mean
        standardDeviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count).squareRoot()
    }

    package var median: Double { percentile(50) }

    /// Linear between the two nearest values.
    /// - Parameter rank: 0 to 100.
    package func percentile(_ rank: Double) -> Double {
        guard let last = sorted.last else { return 0 }
        let place = min(100, max(0, rank)) / 100 * Double(sorted.count - 1)
        let below = Int(place)
        guard below + 1 < sorted.count else { return last }
        return sorted[below] + (sorted[below + 1] - sorted[below]) * (place - Double(below))
    }
}
