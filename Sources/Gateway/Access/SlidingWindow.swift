/// Counts what happened in the last 10 seconds, in half-second buckets: a fixed 21 numbers however many events there are. An event leaves the
/// window 10 to 10.5 s after it happened, so that never more than the limit happen in any 10 s.
package struct SlidingWindow: Sendable {
    package static let bucketMilliseconds = 500
    private static let bucketCount = 21

    private var counts = InlineArray<21, UInt32>(repeating: 0)
    /// Number of the newest bucket, counted from the clock's zero.
    private var newest = 0
    /// Sum of `counts`.
    package private(set) var total = 0

    package init() {}

    /// - now: milliseconds of any clock. One that goes backwards stands still here.
    package mutating func advance(to now: Int) {
        let bucket = now / Self.bucketMilliseconds
        guard bucket > newest else { return }
        if bucket - newest >= Self.bucketCount {
            counts = InlineArray(repeating: 0)
            total = 0
        } else {
            for fresh in newest + 1...bucket {
                total -= Int(counts[fresh % Self.bucketCount])
                counts[fresh % Self.bucketCount] = 0
            }
        }
        newest = bucket
    }

    /// Call after `advance`.
    package mutating func record() {
        let place = newest % Self.bucketCount
        guard counts[place] < .max else { return }
        counts[place] += 1
        total += 1
    }

    /// Milliseconds from `now` until fewer than `limit` events are in the window; 0 where there is room. Call after `advance`.
    package func wait(limit: Int, at now: Int) -> Int {
        var left = total
        guard left >= limit else { return 0 }
        // The oldest bucket is the first to go, when a new one begins; then the one after it.
        for age in 1...Self.bucketCount {
            left -= Int(counts[(newest + age) % Self.bucketCount])
            if left < limit { return max(1, (newest + age) * Self.bucketMilliseconds - now) }
        }
        return Self.bucketCount * Self.bucketMilliseconds
    }
}
