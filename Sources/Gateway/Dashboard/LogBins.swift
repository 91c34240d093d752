internal import Glibc

/// Bins of equal width on a logarithmic scale: 8 a decade from 1 ms to 1000 s, one below and one above. A percentile is off by a sixth at most.
enum LogBins {
    static let perDecade = 8
    static let count = 6 * perDecade + 2

    /// The bin of a span in milliseconds.
    static func bin(_ milliseconds: Double) -> Int {
        guard milliseconds >= 1 else { return 0 }
        return min(1 + Int(log10(min(milliseconds, 1e9)) * Double(perDecade)), count - 1)
    }

    /// The value below which the part `share` of all lies, ms; nil where nothing was counted.
    static func percentile(_ share: Double, _ counts: [Int]) -> Double? {
        let total = counts.reduce(0, +)
        guard total > 0 else { return nil }
        let rank = share * Double(total)
        var below = 0.0
        for (bin, count) in counts.enumerated() where count > 0 {
            if below + Double(count) >= rank {
                guard bin > 0 else { return 0.5 }
                let inside = (rank - below) / Double(count)
                return pow(10, (Double(bin - 1) + max(0, inside)) / Double(perDecade))
            }
            below += Double(count)
        }
        return nil
    }
}
