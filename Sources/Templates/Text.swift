/// Python's view of strings: sequences of code points, compared by their bytes. Never grapheme clusters.
extension String {
    /// The same bytes. (`==` would also accept canonically equivalent text.)
    func isSame(as other: String) -> Bool {
        guard utf8.count == other.utf8.count else { return false }
        return utf8.withContiguousStorageIfAvailable { a in
            other.utf8.withContiguousStorageIfAvailable { b in
                a.elementsEqual(b)
            } ?? utf8.elementsEqual(other.utf8)
        } ?? utf8.elementsEqual(other.utf8)
    }

    /// Order of the code points, which is the order of the UTF-8 bytes.
    func isBefore(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }

    /// Code points.
    var length: Int {
        var count = 0
        for byte in utf8 where byte & 0xC0 != 0x80 { count += 1 }
        return count
    }

    var isASCII: Bool { utf8.allSatisfy { $0 < 0x80 } }

    /// The text of a byte range that lies on code point boundaries.
    func bytes(_ range: Range<Int>) -> String {
        let start = utf8.index(utf8.startIndex, offsetBy: range.lowerBound)
        let end = utf8.index(start, offsetBy: range.count)
        return String(self[start..<end])
    }

    init(scalars: some Sequence<Unicode.Scalar>) {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        self.init(view)
    }

    init(_ bytes: ArraySlice<UInt8>) { self = String(decoding: bytes, as: UTF8.self) }
}

extension Unicode.Scalar {
    /// `str.isspace` of one code point; also what `strip` takes and `\s` matches.
    var isPythonSpace: Bool {
        switch value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// `str.isprintable` of one code point: decides what `repr` escapes.
    var isPythonPrintable: Bool {
        if value < 0x7F { return value >= 0x20 }
        return switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator: false
        default: true
        }
    }

    var isPythonAlpha: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    var isPythonDecimal: Bool { properties.generalCategory == .decimalNumber }
    var isPythonDigit: Bool { properties.numericType == .decimal || properties.numericType == .digit }
    var isPythonNumeric: Bool { properties.numericType != nil }
    var isPythonAlphanumeric: Bool { isPythonAlpha || isPythonDecimal || isPythonDigit || isPythonNumeric }
    /// `\w` of a regular expression.
    var isWord: Bool { self == "_" || isPythonAlphanumeric }
    var isCased: Bool { properties.isUppercase || properties.isLowercase || properties.generalCategory == .titlecaseLetter }

    /// The value of a decimal digit in any script.
    var decimalValue: Int? { isPythonDecimal ? properties.numericValue.map { Int($0) } : nil }
}

/// Case mappings of whole strings.
enum LetterCase {
    static func upper(_ text: String) -> String {
        if text.isASCII { return String(decoding: text.utf8.map { $0 >= 97 && $0 <= 122 ? $0 - 32 : $0 }, as: UTF8.self) }
        var result = ""
        for scalar in text.unicodeScalars { result += scalar.properties.uppercaseMapping }
        return result
    }

    static func lower(_ text: String) -> String {
        if text.isASCII { return String(decoding: text.utf8.map { $0 >= 65 && $0 <= 90 ? $0 + 32 : $0 }, as: UTF8.self) }
        return lower(Array(text.unicodeScalars), from: 0)
    }

    /// Lower case of `scalars[from...]`, seeing what stands before for the final sigma.
    static func lower(_ scalars: [Unicode.Scalar], from start: Int) -> String {
        var result = ""
        for index in start..<max(start, scalars.count) { result += lower(scalars, at: index) }
        return result
    }

    private static func lower(_ scalars: [Unicode.Scalar], at index: Int) -> String {
        guard scalars[index].value == 0x3A3 else { return scalars[index].properties.lowercaseMapping }
        // Final sigma: a cased letter before and none after, case-ignorable ones aside.
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        return (before?.properties.isCased ?? false) && !(after?.properties.isCased ?? false) ? "\u{3C2}" : "\u{3C3}"
    }

    static func title(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        var result = "", inWord = false
        for index in scalars.indices {
            result += inWord ? lower(scalars, at: index) : scalars[index].properties.titlecaseMapping
            inWord = scalars[index].properties.isCased
        }
        return result
    }

    static func capitalize(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        guard let first = scalars.first else { return "" }
        return first.properties.titlecaseMapping + lower(scalars, from: 1)
    }

    static func swap(_ text: String) -> String {
        let scalars = Array(text.unicodeScalars)
        var result = ""
        for (index, scalar) in scalars.enumerated() {
            if scalar.properties.isUppercase {
                result += lower(scalars, at: index)
            } else if scalar.properties.isLowercase {
                result += scalar.properties.uppercaseMapping
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    static func fold(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x1E9E: result += "ss"
            // Cherokee folds to its upper case.
            case 0x13A0...0x13F5: result.unicodeScalars.append(scalar)
            case 0xAB70...0xABBF, 0x13F8...0x13FD: result += scalar.properties.uppercaseMapping
            default:
                guard scalar.properties.changesWhenCaseFolded else {
                    result.unicodeScalars.append(scalar)
                    continue
                }
                for upper in scalar.properties.uppercaseMapping.unicodeScalars { result += upper.properties.lowercaseMapping }
            }
        }
        return result
    }
}

/// Substring search in bytes, linear in the text also for hostile needles.
struct ByteSearch {
    private let needle: [UInt8]
    /// Knuth-Morris-Pratt failure links; only for needles long enough to matter.
    private let links: [Int]

    init(_ needle: [UInt8]) {
        self.needle = needle
        var links: [Int] = []
        if needle.count > 8 {
            links = [Int](repeating: 0, count: needle.count)
            var length = 0
            for index in 1..<needle.count {
                while length > 0, needle[index] != needle[length] { length = links[length - 1] }
                if needle[index] == needle[length] { length += 1 }
                links[index] = length
            }
        }
        self.links = links
    }

    /// Offset of the first occurrence at or after `start` that ends by `end`.
    func first(in text: [UInt8], from start: Int, to end: Int) -> Int? {
        let count = needle.count
        guard count <= end - start else { return nil }
        if count == 0 { return start }
        if links.isEmpty {
            var place = start
            while place + count <= end {
                if text[place] == needle[0] {
                    var matched = 1
                    while matched < count, text[place + matched] == needle[matched] { matched += 1 }
                    if matched == count { return place }
                }
                place += 1
            }
            return nil
        }
        var matched = 0
        for place in start..<end {
            while matched > 0, text[place] != needle[matched] { matched = links[matched - 1] }
            if text[place] == needle[matched] { matched += 1 }
            if matched == count { return place - count + 1 }
        }
        return nil
    }

    /// Offset of the last occurrence within the range.
    func last(in text: [UInt8], from start: Int, to end: Int) -> Int? {
        let reversed = ByteSearch(Array(needle.reversed()))
        let window = Array(text[start..<end].reversed())
        return reversed.first(in: window, from: 0, to: window.count).map { end - $0 - needle.count }
    }
}
