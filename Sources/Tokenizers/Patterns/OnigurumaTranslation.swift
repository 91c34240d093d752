/// Rewrites a pattern of Oniguruma's Ruby syntax as PCRE2 understands it.
///
/// What differs: `\h` is a hexadecimal digit; `(?m)` lets `.` match a newline; `{n,m}+` is not possessive; classes nest and
/// intersect (`[a-z&&[^b]]`); `\s`, `\w`, `\d` and `\b` follow Unicode's own properties; names in `\p{…}` have more spellings.
struct OnigurumaTranslation {
    private let input: [UInt8]
    private var index = 0
    private var output: [UInt8] = []
    private let part: String
    private let source: String
    /// Where the last whole atom begins in `output`, and where the open groups do.
    private var atom = 0
    private var groups: [Int] = []

    /// Unicode's White_Space, as the inside of a class, and its complement.
    static let space = #"\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"#
    static let notSpace = #"\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}"#
        + #"\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff}"#
    /// Alphabetic, marks, decimal digits and connectors; outside brackets `\w` has Latin-1's six superscripts and
    /// fractions besides.
    static let word = posixWord + #"\x{b2}\x{b3}\x{b9}\x{bc}-\x{be}"#
    private static let posixWord = #"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{24b6}-\x{24e9}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189}"#

    static func translate(_ pattern: String, part: String) throws(TokenizerError) -> [UInt8] {
        var translation = OnigurumaTranslation(input: Array(pattern.utf8), part: part, source: pattern)
        try translation.run()
        return translation.output
    }

    private init(input: [UInt8], part: String, source: String) {
        self.input = input
        self.part = part
        self.source = source
    }

    private func fail(_ reason: String) -> TokenizerError {
        .malformed(part: part, reason: "the pattern '\(source)' \(reason)")
    }

    private func peek(_ offset: Int = 0) -> UInt8 { index + offset < input.count ? input[index + offset] : 0 }
    private func starts(with text: String) -> Bool { input[index...].starts(with: text.utf8) }

    private mutating func emit(_ text: String) { output.append(contentsOf: text.utf8) }

    private mutating func run() throws(TokenizerError) {
        while index < input.count {
            switch input[index] {
            case UInt8(ascii: "\\"):
                atom = output.count
                emit(try escape(inClass: false))
            case UInt8(ascii: "["):
                atom = output.count
                emit(try characterClass(depth: 0))
            case UInt8(ascii: "("):
                groups.append(output.count)
                group()
            case UInt8(ascii: "{"): interval()
            case UInt8(ascii: "?"), UInt8(ascii: "*"), UInt8(ascii: "+"):
                output.append(input[index])
                index += 1
            case UInt8(ascii: ")"):
                atom = groups.popLast() ?? 0
                output.append(input[index])
                index += 1
            case let byte:
                atom = output.count
                let size = min(UTF8Text.width(byte), input.count - index)
                output.append(contentsOf: input[index..<(index + size)])
                index += size
            }
        }
    }

    /// Option letters: Ruby's `m` is PCRE2's `s`.
    private mutating func group() {
        output.append(input[index])
        index += 1
        guard peek() == UInt8(ascii: "?") else { return }
        var end = index + 1
        while end < input.count, input[end] == UInt8(ascii: "-") || UInt8(ascii: "a")...UInt8(ascii: "z") ~= input[end] { end += 1 }
        guard end > index + 1, end < input.count, input[end] == UInt8(ascii: ":") || input[end] == UInt8(ascii: ")") else { return }
        for byte in input[index..<end] { output.append(byte == UInt8(ascii: "m") ? UInt8(ascii: "s") : byte) }
        index = end
    }

    /// `{n,m}`: what follows it as `+` is another repeat in Ruby. `{,m}` starts from zero.
    private mutating func interval() {
        var end = index + 1
        while end < input.count, UInt8(ascii: "0")...UInt8(ascii: "9") ~= input[end] || input[end] == UInt8(ascii: ",") { end += 1 }
        guard end > index + 1, end < input.count, input[end] == UInt8(ascii: "}") else {
            // Not an interval: a plain brace.
            emit("\\{")
            index += 1
            return
        }
        emit("{")
        if input[index + 1] == UInt8(ascii: ",") { emit("0") }
        output.append(contentsOf: input[(index + 1)...end])
        index = end + 1
        if peek() == UInt8(ascii: "+") {
            // `x{2}+` repeats `x{2}`; PCRE2 would read a possessive interval.
            output.insert(contentsOf: Array("(?:".utf8), at: atom)
            emit(")")
        }
    }

    /// An escape, `index` at its backslash; in a class the result is meant for the inside of brackets.
    private mutating func escape(inClass: Bool) throws(TokenizerError) -> String {
        guard index + 1 < input.count else { throw fail("ends in a backslash") }
        let letter = input[index + 1]
        index += 2
        func set(_ inside: String) -> String { inClass ? inside : "[\(inside)]" }
        switch letter {
        case UInt8(ascii: "s"): return set(Self.space)
        case UInt8(ascii: "S"): return inClass ? Self.notSpace : "[^\(Self.space)]"
        case UInt8(ascii: "h"): return set("0-9a-fA-F")
        case UInt8(ascii: "H"): return inClass ? #"\x{0}-\x{2f}\x{3a}-\x{40}\x{47}-\x{60}\x{67}-\x{10ffff}"# : "[^0-9a-fA-F]"
        case UInt8(ascii: "d"): return #"\p{Nd}"#
        case UInt8(ascii: "D"): return #"\P{Nd}"#
        case UInt8(ascii: "w"): return inClass ? Self.posixWord : "[\(Self.word)]"
        case UInt8(ascii: "W"):
            if inClass { throw fail(#"has \W inside brackets, which is not supported"#) }
            return "[^\(Self.word)]"
        case UInt8(ascii: "b") where !inClass:
            return "(?:(?<=[\(Self.word)])(?![\(Self.word)])|(?<![\(Self.word)])(?=[\(Self.word)]))"
        case UInt8(ascii: "B") where !inClass:
            return "(?:(?<=[\(Self.word)])(?=[\(Self.word)])|(?<![\(Self.word)])(?![\(Self.word)]))"
        case UInt8(ascii: "p"), UInt8(ascii: "P"): return try property(negated: letter == UInt8(ascii: "P"), inClass: inClass)
        case UInt8(ascii: "x") where peek() == UInt8(ascii: "{"):
            guard let end = input[index...].firstIndex(of: UInt8(ascii: "}")) else { throw fail(#"has \x{ without its end"#) }
            defer { index = end + 1 }
            return "\\x" + String(decoding: input[index...end], as: UTF8.self)
        case UInt8(ascii: "u"):
            var digits = ""
            while digits.utf8.count < 4, index < input.count, Self.isHex(input[index]) {
                digits.append(Character(Unicode.Scalar(input[index])))
                index += 1
            }
            return "\\x{\(digits)}"
        default:
            var text: [UInt8] = [UInt8(ascii: "\\"), letter]
            // A whole character, if it has several bytes: its backslash means nothing.
            if letter >= 0x80 {
                text = [letter]
                while index < input.count, input[index] & 0xC0 == 0x80 {
                    text.append(input[index])
                    index += 1
                }
            }
            return String(decoding: text, as: UTF8.self)
        }
    }

    private static func isHex(_ byte: UInt8) -> Bool {
        switch byte | 0x20 {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): true
        default: false
        }
    }

    private mutating func property(negated: Bool, inClass: Bool) throws(TokenizerError) -> String {
        guard peek() == UInt8(ascii: "{"), let end = input[index...].firstIndex(of: UInt8(ascii: "}")) else {
            throw fail(#"has \p without a name in braces"#)
        }
        var name = input[(index + 1)..<end].filter { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "_") && $0 != UInt8(ascii: "-") }
        index = end + 1
        var negated = negated
        if name.first == UInt8(ascii: "^") {
            negated.toggle()
            name.removeFirst()
        }
        let text = String(decoding: name, as: UTF8.self)
        if let set = Self.propertySets[text.lowercased()], !(negated && inClass) {
            return inClass ? set : "[\(negated ? "^" : "")\(set)]"
        }
        let known = Self.propertyNames[text.lowercased()] ?? text
        return "\\\(negated ? "P" : "p"){\(known)}"
    }

    /// Properties that PCRE2 has under no name of its own, and POSIX brackets, as the inside of a class.
    private static let propertySets = ["word": word, "alnum": #"\p{Alphabetic}\p{Nd}"#, "blank": #"\p{Zs}\x{9}"#, "space": space]
    private static let posixSets = [
        "alpha": #"\p{Alphabetic}"#, "alnum": #"\p{Alphabetic}\p{Nd}"#, "upper": #"\p{Uppercase}"#, "lower": #"\p{Lowercase}"#,
        "digit": #"\p{Nd}"#, "space": space, "word": posixWord, "punct": #"\p{P}\p{S}"#, "cntrl": #"\p{Cc}"#, "blank": #"\p{Zs}\x{9}"#,
        "xdigit": "0-9a-fA-F",
    ]

    /// Long names of the general categories and POSIX names, without separators, in lower case.
    private static let propertyNames: [String: String] = [
        "letter": "L", "uppercaseletter": "Lu", "lowercaseletter": "Ll", "titlecaseletter": "Lt", "modifierletter": "Lm",
        "otherletter": "Lo", "mark": "M", "nonspacingmark": "Mn", "spacingmark": "Mc", "enclosingmark": "Me", "number": "N",
        "decimalnumber": "Nd", "letternumber": "Nl", "othernumber": "No", "punctuation": "P", "connectorpunctuation": "Pc",
        "dashpunctuation": "Pd", "openpunctuation": "Ps", "closepunctuation": "Pe", "initialpunctuation": "Pi",
        "finalpunctuation": "Pf", "otherpunctuation": "Po", "symbol": "S", "mathsymbol": "Sm", "currencysymbol": "Sc",
        "modifiersymbol": "Sk", "othersymbol": "So", "separator": "Z", "spaceseparator": "Zs", "lineseparator": "Zl",
        "paragraphseparator": "Zp", "other": "C", "control": "Cc", "format": "Cf", "privateuse": "Co", "unassigned": "Cn",
        "alpha": "Alphabetic", "upper": "Uppercase", "lower": "Lowercase", "digit": "Nd", "punct": "P", "whitespace": "White_Space", "cntrl": "Cc",
        "l": "L", "lu": "Lu", "ll": "Ll", "lt": "Lt", "lm": "Lm", "lo": "Lo", "m": "M", "mn": "Mn", "mc": "Mc", "me": "Me", "n": "N",
        "nd": "Nd", "nl": "Nl", "no": "No", "p": "P", "pc": "Pc", "pd": "Pd", "ps": "Ps", "pe": "Pe", "pi": "Pi", "pf": "Pf",
        "po": "Po", "s": "S", "sm": "Sm", "sc": "Sc", "sk": "Sk", "so": "So", "z": "Z", "zs": "Zs", "zl": "Zl", "zp": "Zp", "c": "C",
        "cc": "Cc", "cf": "Cf", "co": "Co", "cn": "Cn", "any": "Any",
    ]

    /// A class in brackets, `index` at its `[`, as one PCRE2 atom.
    private mutating func characterClass(depth: Int) throws(TokenizerError) -> String {
        if depth > 20 { throw fail("nests classes too deeply") }
        index += 1
        let negated = peek() == UInt8(ascii: "^")
        if negated { index += 1 }
        // Each operand of `&&`: the plain inside of a class, and classes nested in it.
        var operands: [(plain: String, nested: [String])] = [("", [])]
        var first = true
        while true {
            guard index < input.count else { throw fail("has a class that does not end") }
            let byte = input[index]
            if byte == UInt8(ascii: "]"), !first {
                index += 1
                break
            }
            first = false
            if starts(with: "&&") {
                index += 2
                operands.append(("", []))
            } else if starts(with: "[:"), let end = posixEnd() {
                let name = String(decoding: input[(index + 2)..<(end - 2)], as: UTF8.self)
                operands[operands.count - 1].plain += Self.posixSets[name] ?? String(decoding: input[index..<end], as: UTF8.self)
                index = end
            } else if byte == UInt8(ascii: "[") {
                operands[operands.count - 1].nested.append(try characterClass(depth: depth + 1))
            } else if byte == UInt8(ascii: "\\") {
                operands[operands.count - 1].plain += try escape(inClass: true)
            } else {
                let size = min(UTF8Text.width(byte), input.count - index)
                if byte == UInt8(ascii: "]") { operands[operands.count - 1].plain += "\\" }
                operands[operands.count - 1].plain += String(decoding: input[index..<(index + size)], as: UTF8.self)
                index += size
            }
        }
        if operands.count == 1, operands[0].nested.isEmpty { return "[\(negated ? "^" : "")\(operands[0].plain)]" }
        let atoms = operands.map { operand in
            let parts = (operand.plain.isEmpty ? [] : ["[\(operand.plain)]"]) + operand.nested
            return parts.count == 1 ? parts[0] : "(?:\(parts.joined(separator: "|")))"
        }
        let joined = atoms.dropLast().map { "(?=\($0))" }.joined() + (atoms.last ?? "")
        return negated ? "(?:(?!\(joined))(?s:.))" : "(?:\(joined))"
    }

    private func posixEnd() -> Int? {
        var end = index + 2
        while end + 1 < input.count, end < index + 20 {
            if input[end] == UInt8(ascii: ":"), input[end + 1] == UInt8(ascii: "]") { return end + 2 }
            end += 1
        }
        return nil
    }
}
