/// When requests are sent.
package enum ArrivalSchedule {
    /// Seconds after the start, one per request, never falling.
    ///
    /// Gaps are drawn from a gamma distribution with mean 1/rate; then all are stretched so that the last request leaves at count/rate,
    /// as vLLM does: short runs keep the rate they were asked for.
    /// - Parameters:
    ///   - rate: requests per second; infinite sends all at once.
    ///   - burstiness: shape of the distribution: 1 is a Poisson process, below it comes in bursts, above it is more even.
    package static func times(count: Int, rate: Double, burstiness: Double, seed: UInt64) -> [Double] {
        guard count > 0 else { return [] }
        guard rate.isFinite else { return [Double](repeating: 0, count: count) }
        var generator = SeededGenerator(seed: seed)
        var times: [Double] = [], now = 0.0
        for _ in 0..<count {
            now += generator.gamma(shape: burstiness) / (rate * burstiness)
            times.append(now)
        }
        guard now > 0 else { return times }
        let stretch = Double(count) / rate / now
        return times.map { $0 * stretch }
    }
}
