/// A stretch of the input while it is normalised and split: its bytes now and, where offsets are wanted, where each byte comes from.
///
/// Offsets follow the reference library to the letter, its oddities included: a replaced character keeps its place, an added one takes
/// the place of the character before it.
struct WorkText {
    /// Bytes of the original text, half open.
    struct Span: Equatable {
        var start: Int32, end: Int32
    }

    var bytes: [UInt8]
    /// One for each of `bytes`; empty when not tracked.
    var spans: [Span]
    let isTracked: Bool
    /// Where the stretch begins in the original text.
    let origin: Int
    /// Whether the original text ends with the stretch.
    var reachesEnd = true

    init(_ text: UnsafeBufferPointer<UInt8>, origin: Int, tracked: Bool) {
        bytes = Array(text)
        isTracked = tracked
        self.origin = origin
        spans = []
        guard tracked, let base = text.baseAddress else { return }
        spans.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let size = min(UTF8Text.width(base[index]), text.count - index)
            let span = Span(start: Int32(truncatingIfNeeded: origin + index), end: Int32(truncatingIfNeeded: origin + index + size))
            for _ in 0..<size { spans.append(span) }
            index += size
        }
    }

    var isEmpty: Bool { bytes.isEmpty }

    func scalars(in range: Range<Int>? = nil) -> [UInt32] {
        let range = range ?? 0..<bytes.count
        var output: [UInt32] = []
        output.reserveCapacity(range.count)
        bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            var index = range.lowerBound
            while index < range.upperBound {
                output.append(UTF8Text.scalar(base, index))
                index += UTF8Text.width(base[index])
            }
        }
        return output
    }

    /// Replaces the characters in `range` (all by default) by `changes`; the first `removed` characters have nothing in their place.
    mutating func transform(_ range: Range<Int>? = nil, _ changes: [ScalarChange], removed: Int = 0) {
        let range = range ?? 0..<bytes.count
        var fresh: [UInt8] = []
        fresh.reserveCapacity(range.count + 16)
        for change in changes { UTF8Text.append(change.scalar, to: &fresh) }
        if isTracked {
            var index = range.lowerBound
            func skip(_ count: Int) {
                for _ in 0..<max(count, 0) where index < range.upperBound { index += UTF8Text.width(bytes[index]) }
            }
            skip(removed)
            var freshSpans: [Span] = []
            freshSpans.reserveCapacity(fresh.count)
            let none = Span(start: Int32(truncatingIfNeeded: origin), end: Int32(truncatingIfNeeded: origin))
            for change in changes {
                let span: Span
                if change.change > 0 {
                    span = index < 1 ? none : spans[index - 1]
                } else {
                    span = index < spans.count ? spans[index] : none
                    skip(1 - change.change)
                }
                for _ in 0..<UTF8Text.size(change.scalar) { freshSpans.append(span) }
            }
            spans.replaceSubrange(range, with: freshSpans)
        }
        bytes.replaceSubrange(range, with: fresh)
    }

    /// Keeps the characters that `keep` accepts.
    mutating func filter(_ keep: (UInt32) -> Bool) {
        var changes: [ScalarChange] = [], removed = 0, removedAtStart = 0
        let all = scalars()
        changes.reserveCapacity(all.count)
        for scalar in all {
            guard keep(scalar) else {
                removed += 1
                continue
            }
            if changes.isEmpty { removedAtStart = removed } else { changes[changes.count - 1].change = -removed }
            changes.append(ScalarChange(scalar: scalar, change: 0))
            removed = 0
        }
        if changes.count == all.count { return }
        if !changes.isEmpty { changes[changes.count - 1].change = -removed }
        transform(nil, changes, removed: removedAtStart)
    }

    mutating func map(_ body: (UInt32) -> UInt32) {
        transform(nil, scalars().map { ScalarChange(scalar: body($0), change: 0) })
    }

    /// Puts `prefix` before the first character; nothing happens to an empty text.
    mutating func prepend(_ prefix: [UInt32]) {
        guard let first = scalars(in: 0..<min(bytes.count, bytes.isEmpty ? 0 : UTF8Text.width(bytes[0]))).first else { return }
        var changes = prefix.enumerated().map { ScalarChange(scalar: $0.element, change: $0.offset == 0 ? 0 : 1) }
        changes.append(ScalarChange(scalar: first, change: prefix.isEmpty ? 0 : 1))
        transform(0..<UTF8Text.width(bytes[0]), changes)
    }

    /// Puts `content` in the place of each match; its characters take the place of the last matched byte.
    mutating func replace(_ matches: [Range<Int>], with content: [UInt8]) {
        if matches.isEmpty { return }
        var fresh: [UInt8] = [], freshSpans: [Span] = [], last = 0
        fresh.reserveCapacity(bytes.count)
        for match in matches {
            fresh.append(contentsOf: bytes[last..<match.lowerBound])
            fresh.append(contentsOf: content)
            if isTracked {
                freshSpans.append(contentsOf: spans[last..<match.lowerBound])
                let none = Span(start: Int32(truncatingIfNeeded: origin), end: Int32(truncatingIfNeeded: origin))
                let span = match.upperBound < 1 ? none : spans[match.upperBound - 1]
                for _ in content { freshSpans.append(span) }
            }
            last = match.upperBound
        }
        fresh.append(contentsOf: bytes[last...])
        if isTracked { freshSpans.append(contentsOf: spans[last...]) }
        bytes = fresh
        spans = freshSpans
    }
}
