/// Memory of a step that kernels read by address: it grows to the largest step and keeps its place in between.
struct StepBuffer<Element: BitwiseCopyable>: ~Copyable {
    private(set) var base: UnsafeMutablePointer<Element>
    private(set) var count = 0
    private var capacity = 16

    init() { base = .allocate(capacity: 16) }

    deinit { base.deallocate() }

    /// Makes room for `count` elements; what they hold is undefined.
    mutating func resize(to count: Int) {
        if count > capacity {
            base.deallocate()
            capacity = count + count / 2
            base = .allocate(capacity: capacity)
        }
        self.count = count
    }

    mutating func append(_ element: Element) {
        if count == capacity {
            let grown = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
            grown.update(from: base, count: count)
            base.deallocate()
            base = grown
            capacity *= 2
        }
        base[count] = element
        count += 1
    }

    mutating func replace(with elements: [Element]) {
        resize(to: elements.count)
        elements.withUnsafeBufferPointer { source in
            if let address = source.baseAddress { base.update(from: address, count: source.count) }
        }
    }
}
