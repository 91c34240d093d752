/// How many token updates of a native answer go in each partial output: growing from few, for a quick start, to many.
package struct TokenBatching: Sendable, Equatable {
    /// Updates of the first partial output.
    package var first: Int
    /// Most updates of one.
    package var most: Int
    package var growth: Double

    package init(first: Int = 1, most: Int = 50, growth: Double = 3) {
        self.first = first
        self.most = most
        self.growth = growth
    }

    private var isDynamic: Bool { growth > 1 && first >= 1 && most > first }

    /// When to emit, as updates are counted.
    package struct Meter: Sendable {
        private let batching: TokenBatching
        private var threshold: Double
        private var count = 0

        package init(_ batching: TokenBatching) {
            self.batching = batching
            threshold = Double(batching.isDynamic ? batching.first : max(1, batching.most))
        }

        package var isEmpty: Bool { count == 0 }

        /// Counts updates.
        /// - Returns: whether what came together is to be emitted now.
        package mutating func count(_ updates: Int = 1) -> Bool {
            count += updates
            guard Double(count) >= threshold else { return false }
            emitted()
            return true
        }

        private mutating func emitted() {
            count = 0
            if batching.isDynamic { threshold = min(threshold * batching.growth, Double(batching.most)) }
        }

        /// Counts updates that an earlier worker emitted, up to the end of its last partial output.
        package mutating func pass(_ updates: Int) {
            for _ in 0..<max(0, updates) { _ = count() }
            count = 0
        }
    }
}
