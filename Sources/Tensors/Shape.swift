/// Extents of a tensor, outermost first; the last axis is contiguous. Up to eight of them, kept inline.
///
/// A shape may hold any integers, because it is also what a configuration asks for; sizes are computed with checks and are nil where an
/// extent is negative or the product overflows.
package struct Shape: Sendable {
    package static let maxRank = 8

    private var extents: [8 of Int]
    /// Number of dimensions; 0 is a scalar.
    package let rank: Int

    /// nil where there are more than eight dimensions.
    package init?(_ dimensions: some Collection<Int>) {
        guard dimensions.count <= Self.maxRank else { return nil }
        extents = InlineArray(repeating: 1)
        rank = dimensions.count
        for (index, extent) in dimensions.enumerated() { extents[index] = extent }
    }

    package var dimensions: [Int] { (0..<rank).map { extents[$0] } }

    /// - Parameter index: from 0, or from -1 counting back from the innermost.
    package subscript(index: Int) -> Int {
        get { extents[place(index)] }
        set { extents[place(index)] = newValue }
    }

    private func place(_ index: Int) -> Int {
        let place = index < 0 ? index + rank : index
        precondition(0..<rank ~= place, "dimension \(index) of a shape with \(rank)")
        return place
    }

    /// Product of the extents; nil where one is negative or the product overflows.
    package var elementCount: Int? { product(0..<rank) }

    /// Product of the extents in `range`, 1 for none; nil as in `elementCount`.
    package func product(_ range: Range<Int>) -> Int? {
        var total = 1
        for index in range {
            let (next, overflow) = total.multipliedReportingOverflow(by: extents[index])
            if extents[index] < 0 || overflow { return nil }
            total = next
        }
        return total
    }

    /// Bytes of a contiguous tensor; nil as in `elementCount`, and where the last axis does not fill whole blocks.
    package func byteCount(_ dtype: DType) -> Int? {
        guard let count = elementCount, (rank == 0 ? 1 : extents[rank - 1]) % dtype.blockSize == 0 else { return nil }
        return dtype.byteCount(elements: count)
    }
}

extension Shape: Hashable {
    package static func == (a: Shape, b: Shape) -> Bool {
        a.rank == b.rank && (0..<a.rank).allSatisfy { a.extents[$0] == b.extents[$0] }
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(rank)
        for index in 0..<rank { hasher.combine(extents[index]) }
    }
}

extension Shape: ExpressibleByArrayLiteral {
    package init(arrayLiteral elements: Int...) {
        precondition(elements.count <= Self.maxRank, "a shape has at most \(Self.maxRank) dimensions")
        extents = InlineArray(repeating: 1)
        rank = elements.count
        for (index, extent) in elements.enumerated() { extents[index] = extent }
    }
}

extension Shape: CustomStringConvertible {
    package var description: String { "[" + dimensions.map(String.init).joined(separator: ", ") + "]" }
}
