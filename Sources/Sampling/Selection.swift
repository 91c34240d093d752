/// Partial selection: quickselect with pseudo-random pivots, linear on average, never a full sort.
enum Selection {
    /// The `k`-th largest of `values`, which are permuted. `1 <= k <= count`, no NaN.
    static func kthLargest(_ values: UnsafeMutablePointer<Float>, count: Int, k: Int) -> Float {
        var low = 0
        var high = count
        var rank = k
        var state = UInt64(truncatingIfNeeded: count)
        while true {
            let pivot = self.pivot(values, low, high, &state)
            let (above, equal) = partition(values, low, high, pivot)
            if rank <= above - low {
                high = above
            } else if rank <= equal - low {
                return pivot
            } else {
                rank -= equal - low
                low = equal
            }
            if low >= high { return pivot }  // unreachable while k <= count
        }
    }

    /// Orders by key, largest first, and finds where the mass reaches `target`.
    /// - Parameters: keys, weights: `[count]`, permuted together.
    /// - Returns: the smallest key that is needed, and the mass of all keys strictly above it. Below every key if all are needed.
    static func massThreshold(
        keys: UnsafeMutablePointer<Float>, weights: UnsafeMutablePointer<Float>, count: Int, target: Double
    ) -> (key: Float, massAbove: Double) {
        var low = 0
        var high = count
        var taken = 0.0
        var state = UInt64(truncatingIfNeeded: count)
        while low < high {
            let pivot = self.pivot(keys, low, high, &state)
            let (above, equal) = partition(keys, low, high, pivot, along: weights)
            var massAbove = 0.0
            for i in low..<above { massAbove += Double(weights[i]) }
            if taken + massAbove >= target, above > low {
                high = above
                continue
            }
            var massEqual = 0.0
            for i in above..<equal { massEqual += Double(weights[i]) }
            if taken + massAbove + massEqual >= target { return (pivot, taken + massAbove) }
            taken += massAbove + massEqual
            low = equal
        }
        return (-.infinity, taken)
    }

    /// Median of three.
    private static func pivot(_ values: UnsafeMutablePointer<Float>, _ low: Int, _ high: Int, _ state: inout UInt64) -> Float {
        let span = UInt64(truncatingIfNeeded: high - low)
        func pick(_ state: inout UInt64) -> Float {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return values[low + Int(truncatingIfNeeded: (state >> 33) % span)]
        }
        let a = pick(&state)
        let b = pick(&state)
        let c = pick(&state)
        return max(min(a, b), min(max(a, b), c))
    }

    /// Moves larger ones to the front, then equal ones.
    private static func partition(
        _ keys: UnsafeMutablePointer<Float>, _ low: Int, _ high: Int, _ pivot: Float, along weights: UnsafeMutablePointer<Float>? = nil
    ) -> (above: Int, equal: Int) {
        var above = low
        var i = low
        var end = high
        func swap(_ a: Int, _ b: Int) {
            let key = keys[a]
            keys[a] = keys[b]
            keys[b] = key
            if let weights {
                let weight = weights[a]
                weights[a] = weights[b]
                weights[b] = weight
            }
        }
        while i < end {
            if keys[i] > pivot {
                swap(above, i)
                above += 1
                i += 1
            } else if keys[i] < pivot {
                end -= 1
                swap(i, end)
            } else {
                i += 1
            }
        }
        return (above, end)
    }
}
