extension JSONReader {
    // MARK: Strings

    package mutating func readString() throws(JSONError) -> String {
        let start = try openString()
        // Most strings have no escape: one copy, straight from the text.
        var end = start
        while end < bytes.count, bytes[end] != UInt8(ascii: "\""), bytes[end] != UInt8(ascii: "\\"), bytes[end] >= 0x20 { end += 1 }
        if end < bytes.count, bytes[end] == UInt8(ascii: "\"") {
            offset = end + 1
            guard let string = String(validating: bytes[start..<end], as: UTF8.self) else {
                offset = start
                throw error("a string is not valid UTF-8")
            }
            return string
        }
        var unescaped: [UInt8] = []
        offset = start
        try unescape(into: &unescaped)
        guard let string = String(validating: unescaped, as: UTF8.self) else {
            offset = start
            throw error("a string is not valid UTF-8")
        }
        return string
    }

    /// Appends the string's UTF-8 bytes to `output`, without checking that they are valid UTF-8.
    package mutating func readStringBytes(into output: inout [UInt8]) throws(JSONError) {
        offset = try openString()
        try unescape(into: &output)
    }

    mutating func skipString() throws(JSONError) {
        offset = try openString()
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "\""):
                offset += 1
                return
            case UInt8(ascii: "\\"): offset += 2
            case 0..<0x20: throw error("control character in a string")
            default: offset += 1
            }
        }
        offset = bytes.count
        throw error("the text ends inside a string")
    }

    private mutating func openString() throws(JSONError) -> Int {
        skipWhitespace()
        guard take(UInt8(ascii: "\"")) else { throw error("expected a string") }
        return offset
    }

    /// From the first byte inside the quotes to past the closing one.
    private mutating func unescape(into output: inout [UInt8]) throws(JSONError) {
        while true {
            guard offset < bytes.count else { throw error("the text ends inside a string") }
            let byte = bytes[offset]
            offset += 1
            switch byte {
            case UInt8(ascii: "\""): return
            case 0..<0x20:
                offset -= 1
                throw error("control character in a string")
            case UInt8(ascii: "\\"): try escape(into: &output)
            default: output.append(byte)
            }
        }
    }

    private mutating func escape(into output: inout [UInt8]) throws(JSONError) {
        guard offset < bytes.count else { throw error("the text ends inside a string") }
        let byte = bytes[offset]
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): output.append(byte)
        case UInt8(ascii: "b"): output.append(0x08)
        case UInt8(ascii: "f"): output.append(0x0C)
        case UInt8(ascii: "n"): output.append(0x0A)
        case UInt8(ascii: "r"): output.append(0x0D)
        case UInt8(ascii: "t"): output.append(0x09)
        case UInt8(ascii: "u"):
            let unit = try hexUnit()
            var scalar = Unicode.Scalar(UInt32(unit))
            if 0xD800..<0xDC00 ~= unit, offset + 1 < bytes.count, bytes[offset] == UInt8(ascii: "\\"), bytes[offset + 1] == UInt8(ascii: "u") {
                let back = offset
                offset += 2
                let low = try hexUnit()
                if 0xDC00..<0xE000 ~= low {
                    scalar = Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00))
                } else {
                    offset = back
                }
            }
            output.append(contentsOf: UTF8.encode(scalar ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter)
        default:
            offset -= 1
            throw error("unknown escape in a string")
        }
    }

    private mutating func hexUnit() throws(JSONError) -> UInt16 {
        guard bytes.count - offset >= 4 else { throw error("the text ends inside a \\u escape") }
        var unit: UInt16 = 0
        for _ in 0..<4 {
            let byte = bytes[offset]
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw error("expected four hexadecimal digits after \\u")
            }
            unit = unit << 4 | UInt16(digit)
            offset += 1
        }
        return unit
    }

    // MARK: Numbers

    /// `.int`, `.bigInt` or `.double`, by how the number is written.
    package mutating func readNumber() throws(JSONError) -> JSONValue {
        guard try peek() == .number else { throw error("expected a number") }
        let start = offset
        let negative = take(UInt8(ascii: "-"))
        if options.allowsNonFinite, offset < bytes.count {
            if bytes[offset] == UInt8(ascii: "N"), !negative {
                try literal("NaN")
                return .double(.nan)
            }
            if bytes[offset] == UInt8(ascii: "I") {
                try literal("Infinity")
                return .double(negative ? -.infinity : .infinity)
            }
        }
        let digits = offset
        skipDigits()
        guard offset > digits else { throw error("expected a digit") }
        if bytes[digits] == UInt8(ascii: "0"), offset - digits > 1 { throw error("a number starts with a needless 0") }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            let fraction = offset
            skipDigits()
            guard offset > fraction else { throw error("expected a digit after '.'") }
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isInteger = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            let exponent = offset
            skipDigits()
            guard offset > exponent else { throw error("expected a digit in an exponent") }
        }
        if isInteger, offset - digits <= 18 {
            var value = 0
            for byte in bytes[digits..<offset] { value = value * 10 + Int(byte - UInt8(ascii: "0")) }
            // "-0" is an integer in Python and stays 0.
            return .int(negative ? -value : value)
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if isInteger { return Int(text).map(JSONValue.int) ?? .bigInt(text) }
        guard let value = Double(text) else { throw error("a number cannot be read") }
        return .double(value)
    }

    /// An integer that fits `Int`.
    package mutating func readInt() throws(JSONError) -> Int {
        guard let value = try readNumber().int else { throw error("expected an integer") }
        return value
    }

    private mutating func skipDigits() {
        while offset < bytes.count, UInt8(ascii: "0")...UInt8(ascii: "9") ~= bytes[offset] { offset += 1 }
    }
}

extension UTF8 {
    static var encodedReplacementCharacter: CodeUnits { CodeUnits([0xEF, 0xBF, 0xBD]) }
    typealias CodeUnits = UTF8.EncodedScalar
}
