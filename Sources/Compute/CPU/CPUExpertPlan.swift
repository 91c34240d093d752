/// Which expert computes which rows of a batch: the rows of all chosen (token, expert) pairs, by expert and then by token.
struct CPUExpertPlan: ~Copyable {
    /// `[tokens, chosen]`, best first.
    var choice = StepBuffer<Int32>()
    var weights = StepBuffer<Float>()
    /// `[experts + 1]`: first row of each expert.
    private(set) var starts = StepBuffer<Int>()
    /// `[rows]`: index into `choice` and `weights`.
    private(set) var pairs = StepBuffer<Int32>()
    /// `[tokens, chosen]`: row of each pair.
    private(set) var places = StepBuffer<Int32>()

    mutating func reserve(pairs count: Int, experts: Int) {
        choice.resize(to: count)
        weights.resize(to: count)
        pairs.resize(to: count)
        places.resize(to: count)
        starts.resize(to: experts + 1)
    }

    /// Sorts the pairs by expert, once `choice` is written.
    mutating func sort(experts: Int) {
        let count = choice.count
        starts.base.update(repeating: 0, count: experts + 1)
        for pair in 0..<count { starts.base[Int(choice.base[pair]) + 1] += 1 }
        for expert in 0..<experts { starts.base[expert + 1] += starts.base[expert] }
        // Each start moves on as its rows are given out, to where the next expert's was.
        for pair in 0..<count {
            let expert = Int(choice.base[pair]), row = starts.base[expert]
            starts.base[expert] = row + 1
            pairs.base[row] = Int32(truncatingIfNeeded: pair)
            places.base[pair] = Int32(truncatingIfNeeded: row)
        }
        for expert in stride(from: experts, to: 0, by: -1) { starts.base[expert] = starts.base[expert - 1] }
        starts.base[0] = 0
    }
}
