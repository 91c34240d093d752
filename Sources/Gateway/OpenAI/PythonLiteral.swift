package import JSON

/// Reads what Python's `repr` makes of dicts, lists, strings, numbers, `None`, `True`, `False`: workers on the Python SDK report errors of streams so.
package struct PythonLiteral {
    private let text: [UInt8]
    private var place = 0
    private static let maxDepth = 64

    /// Nil where the text is no such literal.
    package static func parse(_ text: String) -> JSONValue? {
        var reader = PythonLiteral(text: Array(text.utf8))
        guard let value = reader.value(depth: 0) else { return nil }
        reader.skipSpace()
        // `nil` beside a value would be JSON's null.
        guard reader.place == reader.text.count else { return .none }
        return value
    }

    private init(text: [UInt8]) { self.text = text }

    private mutating func value(depth: Int) -> JSONValue? {
        guard depth < Self.maxDepth else { return nil }
        skipSpace()
        guard place < text.count else { return nil }
        switch text[place] {
        case UInt8(ascii: "{"): return dictionary(depth)
        case UInt8(ascii: "["): return list(UInt8(ascii: "]"), depth)
        case UInt8(ascii: "("): return list(UInt8(ascii: ")"), depth)
        case UInt8(ascii: "'"), UInt8(ascii: "\""): return string().map(JSONValue.string)
        default: return word()
        }
    }

    private mutating func dictionary(_ depth: Int) -> JSONValue? {
        place += 1
        var object = JSONObject()
        skipSpace()
        if take("}") { return .object(object) }
        while true {
            skipSpace()
            guard let key = string() else { return nil }
            skipSpace()
            guard take(":"), let value = value(depth: depth + 1) else { return nil }
            object[key] = value
            skipSpace()
            if take(",") { continue }
            guard take("}") else { return .none }
            return .object(object)
        }
    }

    private mutating func list(_ close: UInt8, _ depth: Int) -> JSONValue? {
        place += 1
        var elements: [JSONValue] = []
        while true {
            skipSpace()
            if place < text.count, text[place] == close {
                place += 1
                return .array(elements)
            }
            guard let element = value(depth: depth + 1) else { return nil }
            elements.append(element)
            skipSpace()
            if !take(","), place >= text.count || text[place] != close { return nil }
        }
    }

    private mutating func string() -> String? {
        guard place < text.count, text[place] == UInt8(ascii: "'") || text[place] == UInt8(ascii: "\"") else { return nil }
        let quote = text[place]
        place += 1
        var bytes: [UInt8] = []
        while place < text.count {
            let byte = text[place]
            place += 1
            if byte == quote { return String(validating: bytes, as: UTF8.self) }
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            guard place < text.count else { return nil }
            let escape = text[place]
            place += 1
            switch escape {
            case UInt8(ascii: "n"): bytes.append(0x0A)
            case UInt8(ascii: "r"): bytes.append(0x0D)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "x"): guard appendScalar(digits: 2, to: &bytes) else { return nil }
            case UInt8(ascii: "u"): guard appendScalar(digits: 4, to: &bytes) else { return nil }
            case UInt8(ascii: "U"): guard appendScalar(digits: 8, to: &bytes) else { return nil }
            default: bytes.append(escape)
            }
        }
        return nil
    }

    private mutating func appendScalar(digits: Int, to bytes: inout [UInt8]) -> Bool {
        guard text.count - place >= digits,
            let value = UInt32(String(decoding: text[place..<(place + digits)], as: UTF8.self), radix: 16)
        else { return false }
        place += digits
        bytes.append(contentsOf: UTF8.encode(Unicode.Scalar(value) ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter)
        return true
    }

    private mutating func word() -> JSONValue? {
        let start = place
        while place < text.count, ![UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ")"), 0x20].contains(text[place]) { place += 1 }
        switch String(decoding: text[start..<place], as: UTF8.self) {
        case "None": return .null
        case "True": return .bool(true)
        case "False": return .bool(false)
        case let word: return Int(word).map(JSONValue.int) ?? Double(word).map(JSONValue.double)
        }
    }

    private mutating func skipSpace() { while place < text.count, [0x20, 0x0A, 0x0D, 0x09].contains(text[place]) { place += 1 } }

    private mutating func take(_ character: Character) -> Bool {
        guard place < text.count, text[place] == character.asciiValue else { return false }
        place += 1
        return true
    }
}

extension UTF8 {
    fileprivate static var encodedReplacementCharacter: EncodedScalar { EncodedScalar([0xEF, 0xBF, 0xBD]) }
}
