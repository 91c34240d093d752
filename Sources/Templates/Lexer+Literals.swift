/// Numbers and strings.
extension Lexer {
    mutating func lexNumber() throws {
        if let end = floatEnd() {
            let text = String(decoding: source[position..<end].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
            guard let value = Double(text) else { throw TemplateError.syntax("bad number '\(text)'", line: line) }
            append(.float(value))
            return advance(to: end)
        }
        var radix: UInt32 = 10
        var digits: [UInt8] = []
        var end = position
        if source[position] == UInt8(ascii: "0"), let prefix = byte(position + 1), let base = Self.radix(prefix),
            let prefixed = digitRun(from: position + 2, radix: base, mayStartWithUnderscore: true)
        {
            (digits, end) = prefixed
            radix = base
        } else if source[position] == UInt8(ascii: "0") {
            // Zeros only: `007` is two numbers, which the parser refuses.
            end = position + 1
            while true {
                if byte(end) == UInt8(ascii: "0") {
                    end += 1
                } else if byte(end) == UInt8(ascii: "_"), byte(end + 1) == UInt8(ascii: "0") {
                    end += 2
                } else {
                    break
                }
            }
            digits = [UInt8(ascii: "0")]
        } else if let decimal = digitRun(from: position, radix: 10, mayStartWithUnderscore: false) {
            (digits, end) = decimal
        }
        guard digits.count <= TemplateLimits.integerDigits, let value = BigInt(digits: digits, radix: radix) else {
            throw TemplateError.syntax("an integer has more than \(TemplateLimits.integerDigits) digits", line: line)
        }
        append(.integer(value.small.map { .int($0) } ?? .big(value)))
        advance(to: end)
    }

    private static func radix(_ prefix: UInt8) -> UInt32? {
        switch prefix | 0x20 {
        case UInt8(ascii: "x"): 16
        case UInt8(ascii: "o"): 8
        case UInt8(ascii: "b"): 2
        default: nil
        }
    }

    /// Digits with single underscores between them.
    private func digitRun(from start: Int, radix: UInt32, mayStartWithUnderscore: Bool) -> (digits: [UInt8], end: Int)? {
        var digits: [UInt8] = [], index = start
        while let next = byte(index) {
            if let value = next.hexValue, value < radix {
                digits.append(next)
                index += 1
            } else if next == UInt8(ascii: "_"), !digits.isEmpty || mayStartWithUnderscore, let value = byte(index + 1)?.hexValue, value < radix {
                index += 1
            } else {
                break
            }
        }
        return digits.isEmpty ? nil : (digits, index)
    }

    /// End of a float here: digits, then a fraction, an exponent or both.
    private func floatEnd() -> Int? {
        if position > 0, source[position - 1] == UInt8(ascii: ".") { return nil }
        guard let whole = digitRun(from: position, radix: 10, mayStartWithUnderscore: false) else { return nil }
        var end = whole.end
        var isFloat = false
        if byte(end) == UInt8(ascii: "."), let fraction = digitRun(from: end + 1, radix: 10, mayStartWithUnderscore: false) {
            end = fraction.end
            isFloat = true
        }
        if let mark = byte(end), mark | 0x20 == UInt8(ascii: "e") {
            var index = end + 1
            if byte(index) == UInt8(ascii: "+") || byte(index) == UInt8(ascii: "-") { index += 1 }
            if let exponent = digitRun(from: index, radix: 10, mayStartWithUnderscore: false) {
                end = exponent.end
                isFloat = true
            }
        }
        return isFloat ? end : nil
    }

    mutating func lexString(quote: UInt8) throws {
        var end = position + 1
        while let next = byte(end), next != quote { end += next == UInt8(ascii: "\\") ? 2 : 1 }
        guard end < source.count else {
            throw TemplateError.syntax("unexpected char '\(Character(Unicode.Scalar(quote)))' at \(position)", line: line)
        }
        append(.string(try unescape(source[position + 1..<end])))
        advance(to: end + 1)
    }

    /// Python's escapes in a string literal.
    private func unescape(_ bytes: ArraySlice<UInt8>) throws -> String {
        guard bytes.contains(UInt8(ascii: "\\")) else { return String(bytes) }
        var result: [UInt8] = []
        var index = bytes.startIndex
        while index < bytes.endIndex {
            guard bytes[index] == UInt8(ascii: "\\"), index + 1 < bytes.endIndex else {
                result.append(bytes[index])
                index += 1
                continue
            }
            let mark = bytes[index + 1]
            index += 2
            switch mark {
            case 0x0A: break
            case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): result.append(mark)
            case UInt8(ascii: "a"): result.append(7)
            case UInt8(ascii: "b"): result.append(8)
            case UInt8(ascii: "f"): result.append(12)
            case UInt8(ascii: "n"): result.append(10)
            case UInt8(ascii: "r"): result.append(13)
            case UInt8(ascii: "t"): result.append(9)
            case UInt8(ascii: "v"): result.append(11)
            case 48...55:
                var value = UInt32(mark - 48), count = 1
                while count < 3, index < bytes.endIndex, bytes[index] >= 48, bytes[index] <= 55 {
                    value = value * 8 + UInt32(bytes[index] - 48)
                    index += 1
                    count += 1
                }
                try append(scalar: value, to: &result)
            case UInt8(ascii: "x"): try append(scalar: try hex(2, bytes, &index), to: &result)
            case UInt8(ascii: "u"):
                var value = try hex(4, bytes, &index)
                // A pair of surrogates written one by one is taken as the code point they mean.
                if value >> 10 == 0x36, index + 6 <= bytes.endIndex, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u") {
                    var next = index + 2
                    let low = try hex(4, bytes, &next)
                    if low >> 10 == 0x37 {
                        value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
                        index = next
                    }
                }
                try append(scalar: value, to: &result)
            case UInt8(ascii: "U"): try append(scalar: try hex(8, bytes, &index), to: &result)
            case UInt8(ascii: "N"): throw TemplateError.syntax("named characters (\\N{…}) are not supported", line: line)
            case 0x80...:
                // Python turns the character into an escape first, and the backslash takes that one's.
                let width = mark < 0xE0 ? 2 : mark < 0xF0 ? 3 : 4
                let end = min(index - 1 + width, bytes.endIndex)
                let value = String(bytes[index - 1..<end]).unicodeScalars.first?.value ?? 0xFFFD
                let digits = String(value, radix: 16)
                let (letter, count) = value < 0x100 ? ("x", 2) : value < 0x10000 ? ("u", 4) : ("U", 8)
                result += Array("\\\(letter)\(String(repeating: "0", count: count - digits.count))\(digits)".utf8)
                index = end
            default: result += [UInt8(ascii: "\\"), mark]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private func hex(_ count: Int, _ bytes: ArraySlice<UInt8>, _ index: inout Int) throws -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<count {
            guard index < bytes.endIndex, let digit = bytes[index].hexValue else {
                throw TemplateError.syntax("truncated escape in a string", line: line)
            }
            value = value << 4 | digit
            index += 1
        }
        return value
    }

    private func append(scalar value: UInt32, to result: inout [UInt8]) throws {
        guard value <= 0x10FFFF else { throw TemplateError.syntax("illegal Unicode character in a string", line: line) }
        result += Array(String(Character(Unicode.Scalar(value) ?? "\u{FFFD}")).utf8)
    }
}
