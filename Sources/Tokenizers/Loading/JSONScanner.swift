/// A quick walk over JSON text for the few very large lists of a `tokenizer.json`: strings go into one growing array, values that are
/// not wanted are stepped over. Everything else is read by the JSON room from the ranges found here.
struct JSONScanner {
    let bytes: UnsafeBufferPointer<UInt8>
    private(set) var index: Int
    private let part: String

    init(_ bytes: UnsafeBufferPointer<UInt8>, at index: Int = 0, part: String) {
        self.bytes = bytes
        self.index = index
        self.part = part
        if index == 0, bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { self.index = 3 }
    }

    func fail(_ reason: String) -> TokenizerError { .malformed(part: part, reason: "\(reason) at byte \(index)") }

    @inline(__always) mutating func skipSpace() {
        while index < bytes.count, bytes[index] <= 0x20 { index &+= 1 }
    }

    @inline(__always) mutating func peek() -> UInt8 {
        skipSpace()
        return index < bytes.count ? bytes[index] : 0
    }

    @inline(__always) mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        index &+= 1
        return true
    }

    @inline(__always) mutating func expect(_ byte: UInt8) throws(TokenizerError) {
        if !take(byte) { throw fail("expected '\(Character(Unicode.Scalar(byte)))'") }
    }

    /// Appends the bytes of a string.
    mutating func string(into output: inout [UInt8]) throws(TokenizerError) {
        try expect(UInt8(ascii: "\""))
        guard let base = bytes.baseAddress else { throw fail("the text ends") }
        while true {
            let start = index
            while index < bytes.count, base[index] != UInt8(ascii: "\""), base[index] != UInt8(ascii: "\\") { index &+= 1 }
            guard index < bytes.count else { throw fail("the text ends inside a string") }
            if start < index { output.append(contentsOf: UnsafeBufferPointer(start: base + start, count: index &- start)) }
            index &+= 1
            if base[index &- 1] == UInt8(ascii: "\"") { return }
            try escape(into: &output)
        }
    }

    private mutating func escape(into output: inout [UInt8]) throws(TokenizerError) {
        guard index < bytes.count else { throw fail("the text ends inside a string") }
        let letter = bytes[index]
        index += 1
        switch letter {
        case UInt8(ascii: "n"): output.append(0x0A)
        case UInt8(ascii: "t"): output.append(0x09)
        case UInt8(ascii: "r"): output.append(0x0D)
        case UInt8(ascii: "b"): output.append(0x08)
        case UInt8(ascii: "f"): output.append(0x0C)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): output.append(letter)
        case UInt8(ascii: "u"):
            var scalar = try hexadecimal()
            if 0xD800..<0xDC00 ~= scalar, index + 1 < bytes.count, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u") {
                let back = index
                index += 2
                let low = try hexadecimal()
                if 0xDC00..<0xE000 ~= low { scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00) } else { index = back }
            }
            UTF8Text.append(0xD800..<0xE000 ~= scalar ? 0xFFFD : scalar, to: &output)
        default: throw fail("unknown escape in a string")
        }
    }

    private mutating func hexadecimal() throws(TokenizerError) -> UInt32 {
        guard index + 4 <= bytes.count else { throw fail("the text ends inside a string") }
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[index])).hexDigitValue else { throw fail("expected a hexadecimal digit") }
            value = value << 4 | UInt32(digit)
            index += 1
        }
        return value
    }

    /// A whole number that can be an id.
    mutating func id() throws(TokenizerError) -> Int {
        skipSpace()
        var value = 0, digits = 0
        while index < bytes.count, UInt8(ascii: "0")...UInt8(ascii: "9") ~= bytes[index], digits < 11 {
            value = value * 10 + Int(bytes[index] & 15)
            index += 1
            digits += 1
        }
        guard digits > 0, digits < 11, value <= TokenizerLimits.largestID else {
            throw fail("expected a token id between 0 and \(TokenizerLimits.largestID)")
        }
        return value
    }

    /// The text of the next value, stepping over it.
    mutating func value() throws(TokenizerError) -> Range<Int> {
        skipSpace()
        let start = index
        var depth = 0
        repeat {
            guard index < bytes.count else { throw fail("the text ends inside a value") }
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "\""): try skipString()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                index += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                index += 1
            case UInt8(ascii: ","), UInt8(ascii: ":"):
                if depth == 0 { throw fail("expected a value") }
                index += 1
            case 0...0x20: index += 1
            default:
                while index < bytes.count, bytes[index] > 0x20, !Self.ends(bytes[index]) { index += 1 }
            }
        } while depth > 0
        guard depth == 0 else { throw fail("expected a value") }
        return start..<index
    }

    private static func ends(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "\""): true
        default: false
        }
    }

    private mutating func skipString() throws(TokenizerError) {
        guard let base = bytes.baseAddress else { return }
        index &+= 1
        while index < bytes.count {
            let byte = base[index]
            index &+= 1
            if byte == UInt8(ascii: "\"") { return }
            if byte == UInt8(ascii: "\\") { index &+= 1 }
        }
        throw fail("the text ends inside a string")
    }

    /// Name and place of each member of an object.
    mutating func members() throws(TokenizerError) -> [(name: String, value: Range<Int>)] {
        var found: [(String, Range<Int>)] = []
        try expect(UInt8(ascii: "{"))
        if take(UInt8(ascii: "}")) { return [] }
        while true {
            var name: [UInt8] = []
            try string(into: &name)
            try expect(UInt8(ascii: ":"))
            found.append((String(decoding: name, as: UTF8.self), try value()))
            if found.count > 10_000 { throw fail("more members than a tokenizer has") }
            if take(UInt8(ascii: ",")) { continue }
            try expect(UInt8(ascii: "}"))
            return found
        }
    }
}

/// What no real vocabulary exceeds, so that a broken file cannot ask for all memory.
enum TokenizerLimits {
    static let largestID = 4_000_000
    static let pieceBytes = 200_000_000
}
