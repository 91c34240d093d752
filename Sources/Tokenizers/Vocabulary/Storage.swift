/// A fixed block of plain values, read by many threads and never written after its maker has handed it on.
///
/// Vocabulary tables are read per token; an `Array` in a class field costs a retain, a release and a bounds check there.
final class Storage<Element: BitwiseCopyable>: @unchecked Sendable {
    let base: UnsafeMutablePointer<Element>
    let count: Int
    /// Whose memory it is, if not its own; then it must not be written to at all.
    private let owner: AnyObject?

    init(repeating value: Element, count: Int) {
        base = .allocate(capacity: max(count, 1))
        base.initialize(repeating: value, count: count)
        self.count = count
        owner = nil
    }

    /// Elements that lie in somebody else's memory.
    init(_ elements: UnsafePointer<Element>, count: Int, of owner: AnyObject) {
        base = UnsafeMutablePointer(mutating: elements)
        self.count = count
        self.owner = owner
    }

    init(_ array: [Element]) {
        base = .allocate(capacity: max(array.count, 1))
        count = array.count
        owner = nil
        array.withUnsafeBufferPointer { if let source = $0.baseAddress { base.initialize(from: source, count: $0.count) } }
    }

    deinit { if owner == nil { base.deallocate() } }

    @inline(__always) subscript(index: Int) -> Element { base[index] }
    var buffer: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: base, count: count) }
}

/// Smallest power of two that is at least `count`.
func powerOfTwo(atLeast count: Int) -> Int {
    count <= 1 ? 1 : 1 << (Int.bitWidth - (count - 1).leadingZeroBitCount)
}
