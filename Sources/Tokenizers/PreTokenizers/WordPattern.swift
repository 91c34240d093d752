/// The patterns that nearly all byte-level vocabularies were trained with, matched by hand: several times faster than a pattern
/// engine, and with the character classes of the reference library.
///
/// Each family covers a text from left to right; parts that no alternative matches stand alone, as `Isolated` splitting has it.
struct WordPattern: Sendable, Equatable {
    enum Contractions: Sendable { case none, lowerCase, anyCase, anyCaseASCII }

    enum Family: Sendable, Equatable {
        /// `'s|… ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
        case gpt2
        /// `(?i:'s|…)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,d}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`; marks may count as letters.
        case cl100k(marksAreLetters: Bool)
        /// Words that change from upper to lower case at most once, then as above with `[\r\n/]*`.
        case o200k
        /// The third step of DeepSeek-V3's splitting: letters with marks, punctuation and symbols.
        case deepseek
        /// `\p{N}{1,d}` only.
        case digits
    }

    var family: Family
    var contractions: Contractions = .none
    /// Most digits in one part; `Int.max` for a whole run.
    var digits = Int.max

    /// Appends the parts of `range`.
    func split(_ base: UnsafePointer<UInt8>, _ range: Range<Int>, into output: inout [Range<Int>]) {
        let scanner = WordScanner(base: base, end: range.upperBound, table: ScalarClass.table.base)
        var index = range.lowerBound
        switch family {
        case .gpt2:
            while index < range.upperBound {
                let next = scanner.gpt2(index, contractions)
                output.append(index..<next)
                index = next
            }
        case .cl100k(let marksAreLetters):
            let letters: ScalarClass = marksAreLetters ? [.letter, .mark] : .letter
            while index < range.upperBound {
                let next = scanner.cl100k(index, contractions, letters, digits)
                output.append(index..<next)
                index = next
            }
        case .o200k:
            while index < range.upperBound {
                let next = scanner.o200k(index, contractions, digits)
                output.append(index..<next)
                index = next
            }
        case .deepseek: withGaps(scanner, range, into: &output) { scanner.deepseek($0) }
        case .digits:
            withGaps(scanner, range, into: &output) { scanner.isAt($0, .number) ? scanner.run($0, .number, limit: digits) : $0 }
        }
    }

    @inline(__always)
    private func withGaps(
        _ scanner: WordScanner, _ range: Range<Int>, into output: inout [Range<Int>], _ match: (Int) -> Int
    ) {
        var index = range.lowerBound, gap = index
        while index < range.upperBound {
            let next = match(index)
            if next > index {
                if gap < index { output.append(gap..<index) }
                output.append(index..<next)
                (index, gap) = (next, next)
            } else {
                index += UTF8Text.width(scanner.base[index])
            }
        }
        if gap < index { output.append(gap..<index) }
    }
}

/// Matches one word of a family at a place of a text; `end` is where the text ends, for look-ahead too.
struct WordScanner {
    let base: UnsafePointer<UInt8>
    let end: Int
    let table: UnsafeMutablePointer<UInt16>

    @inline(__always) func classes(_ index: Int) -> ScalarClass {
        let byte = base[index]
        return ScalarClass(rawValue: table[byte < 0x80 ? Int(byte) : Int(UTF8Text.scalar(base, index))])
    }

    @inline(__always) func isAt(_ index: Int, _ wanted: ScalarClass) -> Bool { index < end && classes(index).has(wanted) }
    @inline(__always) func next(_ index: Int) -> Int { index &+ UTF8Text.width(base[index]) }

    /// End of the run of characters of `wanted`.
    @inline(__always) func run(_ start: Int, _ wanted: ScalarClass) -> Int {
        var index = start
        while index < end, classes(index).has(wanted) { index = next(index) }
        return index
    }

    @inline(__always) func run(_ start: Int, _ wanted: ScalarClass, limit: Int) -> Int {
        var index = start, count = 0
        while index < end, count < limit, classes(index).has(wanted) {
            index = next(index)
            count &+= 1
        }
        return index
    }

    /// End of the run of characters of none of `unwanted`.
    @inline(__always) func run(_ start: Int, not unwanted: ScalarClass) -> Int {
        var index = start
        while index < end, !classes(index).has(unwanted) { index = next(index) }
        return index
    }

    @inline(__always) func isNewline(_ index: Int) -> Bool { base[index] == 0x0A || base[index] == 0x0D }

    /// `[\r\n]*`, with `/` too if `slash`.
    @inline(__always) func newlines(_ start: Int, slash: Bool = false) -> Int {
        var index = start
        while index < end, isNewline(index) || slash && base[index] == UInt8(ascii: "/") { index &+= 1 }
        return index
    }

    /// `\s+(?!\S)|\s+`, at a white-space character.
    @inline(__always) func spaces(_ start: Int) -> Int {
        let stop = run(start, .space)
        if stop == end { return stop }
        let last = UTF8Text.previous(base, stop, from: start)
        return last > start ? last : stop
    }

    /// `\s*[\r\n]+|\s+(?!\S)|\s+`, at a white-space character.
    @inline(__always) func spacesOrNewlines(_ start: Int) -> Int {
        var index = start, newline = -1
        while index < end, classes(index).has(.space) {
            if isNewline(index) { newline = index }
            index = next(index)
        }
        if newline >= 0 { return newline &+ 1 }
        if index == end { return index }
        let last = UTF8Text.previous(base, index, from: start)
        return last > start ? last : index
    }

    /// End of `'s`, `'re` and so on at the apostrophe, or `index` where there is none.
    @inline(__always) func contraction(_ index: Int, _ kind: WordPattern.Contractions) -> Int {
        guard kind != .none, index &+ 1 < end, base[index] == UInt8(ascii: "'") else { return index }
        let mask: UInt8 = kind == .lowerCase ? 0 : 0x20
        let first = base[index &+ 1] | mask
        switch first {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"):
            return index &+ 2
        case UInt8(ascii: "r"), UInt8(ascii: "v"):
            return index &+ 2 < end && base[index &+ 2] | mask == UInt8(ascii: "e") ? index &+ 3 : index
        case UInt8(ascii: "l"):
            return index &+ 2 < end && base[index &+ 2] | mask == UInt8(ascii: "l") ? index &+ 3 : index
        default:
            // The long s folds to s.
            if kind == .anyCase, base[index &+ 1] == 0xC5, base[index &+ 2] == 0xBF { return index &+ 3 }
            return index
        }
    }

    @inline(__always) func gpt2(_ index: Int, _ contractions: WordPattern.Contractions) -> Int {
        let byte = base[index]
        if byte == UInt8(ascii: "'") {
            let stop = contraction(index, contractions)
            if stop > index { return stop }
        }
        var start = index
        if byte == 0x20, index &+ 1 < end { start = index &+ 1 }
        let kind = classes(start)
        if kind.has(.letter) { return run(next(start), .letter) }
        if kind.has(.number) { return run(next(start), .number) }
        if kind.has(.space) { return spaces(index) }
        return run(next(start), not: [.space, .letter, .number])
    }

    @inline(__always)
    func cl100k(_ index: Int, _ contractions: WordPattern.Contractions, _ letters: ScalarClass, _ digits: Int) -> Int {
        let byte = base[index], kind = classes(index)
        if kind.has(letters) { return run(next(index), letters) }
        if byte == UInt8(ascii: "'") {
            let stop = contraction(index, contractions)
            if stop > index { return stop }
        }
        if kind.has(.number) { return run(index, .number, limit: digits) }
        let after = next(index)
        if !isNewline(index), isAt(after, letters) { return run(next(after), letters) }
        let excluded: ScalarClass = [.space, .number, letters]
        if !kind.has(.space) { return newlines(run(after, not: excluded)) }
        if byte == 0x20, after < end, !classes(after).has(excluded) { return newlines(run(after, not: excluded)) }
        return spacesOrNewlines(index)
    }

    /// Upper, title, modifier and other letters and marks; lower, modifier and other letters and marks.
    @inline(__always) private func mayStart(_ kind: ScalarClass) -> Bool { kind.has([.letter, .mark]) && !kind.has(.lower) }
    @inline(__always) private func mayFollow(_ kind: ScalarClass) -> Bool { kind.has([.letter, .mark]) && !kind.has(.upper) }

    /// `[upper…]*[lower…]+` from `start`, else `start`.
    @inline(__always) private func lowerEnding(_ start: Int) -> Int {
        var index = start, both = start
        while index < end {
            let kind = classes(index)
            guard mayStart(kind) else { break }
            index = next(index)
            if mayFollow(kind) { both = index }
        }
        if index < end, mayFollow(classes(index)) {
            while index < end, mayFollow(classes(index)) { index = next(index) }
            return index
        }
        return both
    }

    /// `[upper…]+[lower…]*` from `start`, else `start`.
    @inline(__always) private func upperBeginning(_ start: Int) -> Int {
        var index = start
        while index < end, mayStart(classes(index)) { index = next(index) }
        if index == start { return start }
        while index < end, mayFollow(classes(index)) { index = next(index) }
        return index
    }

    @inline(__always) func o200k(_ index: Int, _ contractions: WordPattern.Contractions, _ digits: Int) -> Int {
        let byte = base[index], kind = classes(index)
        // The optional character before a word is tried first.
        let after = next(index)
        let hasPrefix = !kind.has([.letter, .number]) && !isNewline(index) && isAt(after, [.letter, .mark])
        if hasPrefix || kind.has([.letter, .mark]) {
            var stop = index
            if hasPrefix {
                stop = lowerEnding(after)
                if stop == after { stop = index }
            }
            if stop == index { stop = lowerEnding(index) }
            if stop == index, hasPrefix {
                stop = upperBeginning(after)
                if stop == after { stop = index }
            }
            if stop == index { stop = upperBeginning(index) }
            if stop > index { return contraction(min(stop, end), contractions) }
        }
        if kind.has(.number) { return run(index, .number, limit: digits) }
        let excluded: ScalarClass = [.space, .letter, .number]
        if !kind.has(.space) { return newlines(run(after, not: excluded), slash: true) }
        if byte == 0x20, after < end, !classes(after).has(excluded) { return newlines(run(after, not: excluded), slash: true) }
        return spacesOrNewlines(index)
    }

    @inline(__always) private func isASCIILetter(_ index: Int) -> Bool {
        index < end && UInt8(ascii: "a")...UInt8(ascii: "z") ~= base[index] | 0x20
    }

    /// `index` itself where nothing matches.
    @inline(__always) func deepseek(_ index: Int) -> Int {
        let byte = base[index], kind = classes(index), after = next(index)
        if byte < 0x80, kind.has([.punctuation, .symbol]), isASCIILetter(after) {
            var stop = after
            while isASCIILetter(stop) { stop &+= 1 }
            return stop
        }
        if kind.has([.letter, .mark]) { return run(after, [.letter, .mark]) }
        if !isNewline(index), !kind.has([.punctuation, .symbol]), isAt(after, [.letter, .mark]) { return run(after, [.letter, .mark]) }
        if kind.has([.punctuation, .symbol]) { return newlines(run(after, [.punctuation, .symbol])) }
        if byte == 0x20, isAt(after, [.punctuation, .symbol]) { return newlines(run(after, [.punctuation, .symbol])) }
        if kind.has(.space) { return spacesOrNewlines(index) }
        return index
    }
}
