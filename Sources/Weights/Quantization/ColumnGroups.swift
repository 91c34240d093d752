/// Columns of a weight sorted by the group that the file gives each (`g_idx`), so that groups lie together.
struct ColumnGroups {
    /// Input of each column; nil where it is its own.
    let order: [Int32]?
    /// Columns of a group after sorting, the last perhaps fewer.
    let size: Int
    /// Group in the file of each group after sorting.
    let sources: [Int]
    /// Whether the file's groups had to be cut into smaller equal ones, because their sizes differ.
    let isRegrouped: Bool

    /// Groups of `size` columns in the order of the inputs.
    init(inputs: Int, size: Int) {
        order = nil
        self.size = min(size, inputs)
        sources = Array(0..<(inputs + size - 1) / size)
        isRegrouped = false
    }

    /// - groupOf: group of each input, all in `0..<groups`.
    init(groupOf: [Int], groups: Int, size: Int) {
        // A counting sort, which is stable.
        var starts = [Int](repeating: 0, count: groups + 1)
        for group in groupOf { starts[group + 1] += 1 }
        for group in 0..<groups { starts[group + 1] += starts[group] }
        var next = starts
        var order = [Int32](repeating: 0, count: groupOf.count)
        for (input, group) in groupOf.enumerated() {
            order[next[group]] = Int32(truncatingIfNeeded: input)
            next[group] += 1
        }
        let isIdentity = order.enumerated().allSatisfy { $0.offset == Int($0.element) }
        self.order = isIdentity ? nil : order
        let inputs = groupOf.count
        if (0...groups).allSatisfy({ starts[$0] == min($0 * size, inputs) }) {
            self.size = min(size, inputs)
            sources = Array(0..<groups)
            isRegrouped = false
            return
        }
        // The widest equal groups whose borders include all borders of the file's.
        let borders = starts.filter { 0 < $0 && $0 < inputs }
        let unit = borders.reduce(0, Self.greatestCommonDivisor)
        self.size = unit == 0 ? inputs : unit
        isRegrouped = true
        var group = 0, sources: [Int] = []
        for start in stride(from: 0, to: inputs, by: self.size) {
            while starts[group + 1] <= start { group += 1 }
            sources.append(group)
        }
        self.sources = sources
    }

    private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : greatestCommonDivisor(b, a % b) }
}
