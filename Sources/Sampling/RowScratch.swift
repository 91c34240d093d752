/// A sampler's working memory, all `[vocabulary]` long or shorter.
struct RowScratch: ~Copyable {
    private(set) var capacity = 0
    /// `[ceil(vocabulary / 64)]`.
    private(set) var maxima = UnsafeMutablePointer<Float>.allocate(capacity: 1)
    private(set) var sums = UnsafeMutablePointer<Float>.allocate(capacity: 1)
    /// The logits before processing.
    private(set) var copy = UnsafeMutablePointer<Float>.allocate(capacity: 1)
    /// A second row, for several samples of one.
    private(set) var spare = UnsafeMutablePointer<Float>.allocate(capacity: 1)
    /// Candidates in ascending id order.
    private(set) var ids = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
    private(set) var logits = UnsafeMutablePointer<Float>.allocate(capacity: 1)
    private(set) var weights = UnsafeMutablePointer<Float>.allocate(capacity: 1)
    /// Permuted by selection.
    private(set) var keys = UnsafeMutablePointer<Float>.allocate(capacity: 1)
    private(set) var mass = UnsafeMutablePointer<Float>.allocate(capacity: 1)
    /// One bit per id.
    private(set) var mask = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)

    mutating func reserve(_ count: Int) {
        if count <= capacity { return }
        free()
        capacity = count
        let blocks = (count + RowKernels.block - 1) / RowKernels.block
        maxima = .allocate(capacity: blocks)
        sums = .allocate(capacity: blocks)
        copy = .allocate(capacity: count)
        spare = .allocate(capacity: count)
        ids = .allocate(capacity: count)
        logits = .allocate(capacity: count)
        weights = .allocate(capacity: count)
        keys = .allocate(capacity: count)
        mass = .allocate(capacity: count)
        mask = .allocate(capacity: (count + 63) / 64)
    }

    mutating func keepCopy(of row: UnsafeMutableBufferPointer<Float>) {
        guard let base = row.baseAddress else { return }
        copy.update(from: base, count: row.count)
    }

    private func free() {
        maxima.deallocate()
        sums.deallocate()
        copy.deallocate()
        spare.deallocate()
        ids.deallocate()
        logits.deallocate()
        weights.deallocate()
        keys.deallocate()
        mass.deallocate()
        mask.deallocate()
    }

    deinit { free() }
}
