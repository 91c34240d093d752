/// A rule that cuts a text into ranges without changing it.
indirect enum Splitter: Sendable {
    /// A regular expression.
    case pattern(Pattern, SplitBehavior, inverted: Bool)
    /// A pattern with a matcher of its own; every part stands alone (`Isolated`), and the matcher covers the whole text.
    case words(WordPattern)
    /// A fixed text.
    case literal([UInt8], SplitBehavior, inverted: Bool)
    /// Characters of some classes.
    case classes(ScalarClass, SplitBehavior)
    /// One given character.
    case scalar(UInt32, SplitBehavior)
    /// `\w+|[^\w\s]+`, all else dropped.
    case wordsAndPunctuation
    case fixedLength(Int)
    case scripts

    /// Appends the parts of `range` of `text` to `output`.
    func split(
        _ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, into output: inout [Range<Int>]
    ) throws(TokenizerError) {
        guard let base = text.baseAddress, !range.isEmpty else { return }
        switch self {
        case .words(let pattern): pattern.split(base, range, into: &output)
        case .pattern(let pattern, let behavior, let inverted):
            var matches: [Range<Int>] = []
            try pattern.forEachMatch(in: UnsafeBufferPointer(rebasing: text[range])) { match in
                matches.append(match.lowerBound + range.lowerBound..<match.upperBound + range.lowerBound)
            }
            behavior.pieces(range, matches: matches, inverted: inverted, into: &output)
        case .literal(let literal, let behavior, let inverted):
            behavior.pieces(range, matches: Self.matches(of: literal, base, range), inverted: inverted, into: &output)
        case .classes(let classes, let behavior):
            Self.split(base, range, behavior, into: &output) { ScalarClass.of($0).has(classes) }
        case .scalar(let wanted, let behavior):
            Self.split(base, range, behavior, into: &output) { $0 == wanted }
        case .wordsAndPunctuation: Self.wordsAndPunctuation(base, range, into: &output)
        case .fixedLength(let length):
            var start = range.lowerBound, index = start, count = 0
            while index < range.upperBound {
                index += UTF8Text.width(base[index])
                count += 1
                if count == length || index >= range.upperBound {
                    output.append(start..<index)
                    (start, count) = (index, 0)
                }
            }
        case .scripts: Self.scripts(base, range, into: &output)
        }
    }

    /// Places of `literal`, leftmost first, not overlapping.
    static func matches(of literal: [UInt8], _ base: UnsafePointer<UInt8>, _ range: Range<Int>) -> [Range<Int>] {
        guard let first = literal.first, literal.count <= range.count else { return [] }
        var matches: [Range<Int>] = [], index = range.lowerBound
        while index + literal.count <= range.upperBound {
            var same = base[index] == first, offset = 1
            while same, offset < literal.count {
                same = base[index + offset] == literal[offset]
                offset += 1
            }
            if same {
                matches.append(index..<index + literal.count)
                index += literal.count
            } else {
                index += 1
            }
        }
        return matches
    }

    @inline(__always)
    private static func split(
        _ base: UnsafePointer<UInt8>, _ range: Range<Int>, _ behavior: SplitBehavior, into output: inout [Range<Int>],
        _ isMatch: (UInt32) -> Bool
    ) {
        switch behavior {
        case .isolated, .removed:
            var last = range.lowerBound, index = last
            while index < range.upperBound {
                let size = UTF8Text.width(base[index])
                if isMatch(UTF8Text.scalar(base, index)) {
                    if last < index { output.append(last..<index) }
                    if behavior == .isolated { output.append(index..<index + size) }
                    last = index + size
                }
                index += size
            }
            if last < range.upperBound { output.append(last..<range.upperBound) }
        default:
            var matches: [Range<Int>] = [], index = range.lowerBound
            while index < range.upperBound {
                let size = UTF8Text.width(base[index])
                if isMatch(UTF8Text.scalar(base, index)) { matches.append(index..<index + size) }
                index += size
            }
            behavior.pieces(range, matches: matches, inverted: false, into: &output)
        }
    }

    private static func wordsAndPunctuation(_ base: UnsafePointer<UInt8>, _ range: Range<Int>, into output: inout [Range<Int>]) {
        var start = range.lowerBound, index = start, kind = 0
        while index < range.upperBound {
            let scalar = ScalarClass.of(UTF8Text.scalar(base, index))
            let next = scalar.has(.word) ? 1 : scalar.has(.whiteSpace) ? 0 : 2
            if next != kind {
                if kind != 0 { output.append(start..<index) }
                (start, kind) = (index, next)
            }
            index += UTF8Text.width(base[index])
        }
        if kind != 0 { output.append(start..<range.upperBound) }
    }

    private static func scripts(_ base: UnsafePointer<UInt8>, _ range: Range<Int>, into output: inout [Range<Int>]) {
        // As in the reference: text before the first character with a script of its own is dropped.
        var last: UInt8 = 0, start = -1, index = range.lowerBound
        while index < range.upperBound {
            let script = ScriptTable.script(of: UTF8Text.scalar(base, index))
            if script != 0 {
                if script != last {
                    if start >= 0 { output.append(start..<index) }
                    start = index
                }
                last = script
            }
            index += UTF8Text.width(base[index])
        }
        if start >= 0 { output.append(start..<range.upperBound) }
    }
}
