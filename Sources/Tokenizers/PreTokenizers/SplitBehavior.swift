/// What becomes of the matches when a text is split at a pattern.
enum SplitBehavior: String, Sendable {
    case removed = "Removed", isolated = "Isolated", mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext", contiguous = "Contiguous"

    /// The pieces of `range`, of which `matches` (ascending, not overlapping) matched; `inverted` swaps matches and the rest.
    func pieces(_ range: Range<Int>, matches: [Range<Int>], inverted: Bool, into output: inout [Range<Int>]) {
        if self == .isolated {
            // Matched or not, every part stands alone: no need to tell them apart.
            var last = range.lowerBound
            for match in matches {
                if last < match.lowerBound { output.append(last..<match.lowerBound) }
                if !match.isEmpty { output.append(match) }
                last = match.upperBound
            }
            if last < range.upperBound { output.append(last..<range.upperBound) }
            return
        }
        var parts: [(range: Range<Int>, isMatch: Bool)] = [], last = range.lowerBound
        for match in matches {
            if last < match.lowerBound { parts.append((last..<match.lowerBound, inverted)) }
            parts.append((match, !inverted))
            last = match.upperBound
        }
        if last < range.upperBound || parts.isEmpty { parts.append((last..<range.upperBound, inverted)) }

        var joined: [Range<Int>] = [], previous = false
        switch self {
        case .isolated, .removed:
            joined = parts.filter { !$0.isMatch }.map(\.range)
        case .contiguous:
            for part in parts {
                if part.isMatch == previous, let end = joined.popLast() {
                    joined.append(end.lowerBound..<part.range.upperBound)
                } else {
                    joined.append(part.range)
                }
                previous = part.isMatch
            }
        case .mergedWithPrevious:
            for part in parts {
                if part.isMatch, !previous, let end = joined.popLast() {
                    joined.append(end.lowerBound..<part.range.upperBound)
                } else {
                    joined.append(part.range)
                }
                previous = part.isMatch
            }
        case .mergedWithNext:
            for part in parts.reversed() {
                if part.isMatch, !previous, let end = joined.popLast() {
                    joined.append(part.range.lowerBound..<end.upperBound)
                } else {
                    joined.append(part.range)
                }
                previous = part.isMatch
            }
            joined.reverse()
        }
        for piece in joined where !piece.isEmpty { output.append(piece) }
    }
}
