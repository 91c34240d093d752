/// A pull reader over JSON text (RFC 8259): the caller walks the document, so that a large `tokenizer.json` needs no tree.
///
/// Create it with `JSONReader.read(_:_:)`, which lends the bytes for the duration of the closure. Nesting is limited, strings must be
/// valid UTF-8; an escaped lone surrogate, which Python writes and UTF-8 cannot hold, becomes U+FFFD.
package struct JSONReader: ~Copyable {
    package struct Options: Sendable {
        /// Levels of arrays and objects.
        package var maxDepth = 512
        /// Take `NaN`, `Infinity` and `-Infinity`, as Python writes them into configuration files.
        package var allowsNonFinite = false

        package init(maxDepth: Int = 512, allowsNonFinite: Bool = false) {
            self.maxDepth = maxDepth
            self.allowsNonFinite = allowsNonFinite
        }
    }

    let bytes: UnsafeBufferPointer<UInt8>
    let options: Options
    /// Offset of the next unread byte.
    package internal(set) var offset = 0
    private var depth = 0

    init(bytes: UnsafeBufferPointer<UInt8>, options: Options) {
        self.bytes = bytes
        self.options = options
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { offset = 3 }
    }

    /// Runs `body` on a reader at the start of `bytes`. Call `finish()` in it where nothing may follow.
    package static func read<Result, Failure: Error>(
        _ bytes: UnsafeBufferPointer<UInt8>, options: Options = Options(),
        _ body: (inout JSONReader) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var reader = JSONReader(bytes: bytes, options: options)
        return try body(&reader)
    }

    package enum Token: Sendable, Equatable { case null, bool, number, string, array, object }

    /// Kind of the value that comes next, without consuming it.
    package mutating func peek() throws(JSONError) -> Token {
        skipWhitespace()
        guard offset < bytes.count else { throw error("the text ends where a value was expected") }
        switch bytes[offset] {
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        case UInt8(ascii: "N"), UInt8(ascii: "I"):
            if options.allowsNonFinite { return .number }
            throw error("NaN and Infinity are not JSON")
        default: throw error("unexpected character where a value was expected")
        }
    }

    // MARK: Containers

    /// Reads an object, calling `body` with each key; `body` must consume the value (`skipValue()` at least).
    package mutating func readObject<Failure: Error>(_ body: (inout JSONReader, String) throws(Failure) -> Void) throws {
        try expect(UInt8(ascii: "{"), "an object")
        try enter()
        defer { depth -= 1 }
        skipWhitespace()
        if take(UInt8(ascii: "}")) { return }
        while true {
            skipWhitespace()
            guard offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") else { throw error("expected a member name in quotes") }
            let key = try readString()
            skipWhitespace()
            guard take(UInt8(ascii: ":")) else { throw error("expected ':' after a member name") }
            try body(&self, key)
            skipWhitespace()
            if take(UInt8(ascii: ",")) { continue }
            if take(UInt8(ascii: "}")) { return }
            throw error("expected ',' or '}' in an object")
        }
    }

    /// Reads an array, calling `body` before each element; `body` must consume the element.
    package mutating func readArray<Failure: Error>(_ body: (inout JSONReader) throws(Failure) -> Void) throws {
        try expect(UInt8(ascii: "["), "an array")
        try enter()
        defer { depth -= 1 }
        skipWhitespace()
        if take(UInt8(ascii: "]")) { return }
        while true {
            try body(&self)
            skipWhitespace()
            if take(UInt8(ascii: ",")) { continue }
            if take(UInt8(ascii: "]")) { return }
            throw error("expected ',' or ']' in an array")
        }
    }

    private mutating func enter() throws(JSONError) {
        depth += 1
        if depth > options.maxDepth { throw error("nested deeper than \(options.maxDepth) levels") }
    }

    // MARK: Whole values

    package mutating func readValue() throws -> JSONValue {
        switch try peek() {
        case .null:
            try readNull()
            return .null
        case .bool: return .bool(try readBool())
        case .number: return try readNumber()
        case .string: return .string(try readString())
        case .array:
            var elements: [JSONValue] = []
            try readArray { reader in elements.append(try reader.readValue()) }
            return .array(elements)
        case .object:
            var object = JSONObject()
            try readObject { reader, key in object[key] = try reader.readValue() }
            return .object(object)
        }
    }

    /// Consumes a value, checking its syntax.
    package mutating func skipValue() throws {
        switch try peek() {
        case .null: try readNull()
        case .bool: _ = try readBool()
        case .number: _ = try readNumber()
        case .string: try skipString()
        case .array: try readArray { reader in try reader.skipValue() }
        case .object: try readObject { reader, _ in try reader.skipValue() }
        }
    }

    package mutating func readNull() throws(JSONError) { try literal("null") }

    package mutating func readBool() throws(JSONError) -> Bool {
        guard try peek() == .bool else { throw error("expected true or false") }
        if bytes[offset] == UInt8(ascii: "t") {
            try literal("true")
            return true
        }
        try literal("false")
        return false
    }

    /// Checks that only white space is left.
    package mutating func finish() throws(JSONError) {
        skipWhitespace()
        if offset < bytes.count { throw error("unexpected text after the end of the JSON value") }
    }

    // MARK: Bytes

    mutating func skipWhitespace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x0A, 0x0D, 0x09: offset += 1
            default: return
            }
        }
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard offset < bytes.count, bytes[offset] == byte else { return false }
        offset += 1
        return true
    }

    private mutating func expect(_ byte: UInt8, _ what: String) throws(JSONError) {
        skipWhitespace()
        guard take(byte) else { throw error("expected \(what)") }
    }

    mutating func literal(_ text: StaticString) throws(JSONError) {
        skipWhitespace()
        let count = text.utf8CodeUnitCount
        guard bytes.count - offset >= count else { throw error("the text ends inside '\(text)'") }
        for index in 0..<count where bytes[offset + index] != text.utf8Start[index] { throw error("expected '\(text)'") }
        offset += count
    }

    /// An error at the current place.
    package func error(_ reason: String) -> JSONError {
        var line = 1, column = 1
        for byte in bytes.prefix(offset) {
            if byte == 0x0A { (line, column) = (line + 1, 1) } else { column += 1 }
        }
        return JSONError(reason: reason, offset: offset, line: line, column: column)
    }
}

extension JSONValue {
    /// Parses one JSON text.
    package init(parsing text: String, options: JSONReader.Options = .init()) throws {
        var copy = text
        self = try copy.withUTF8 { try JSONValue(parsing: $0, options: options) }
    }

    /// Parses one JSON text in UTF-8.
    package init(parsing bytes: UnsafeBufferPointer<UInt8>, options: JSONReader.Options = .init()) throws {
        self = try JSONReader.read(bytes, options: options) { (reader: inout JSONReader) throws -> JSONValue in
            let value = try reader.readValue()
            try reader.finish()
            return value
        }
    }

    /// Parses one JSON text in UTF-8.
    package init(parsing bytes: [UInt8], options: JSONReader.Options = .init()) throws {
        self = try bytes.withUnsafeBufferPointer { try JSONValue(parsing: $0, options: options) }
    }
}
