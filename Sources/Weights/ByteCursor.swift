import Tensors

/// A place in a file that moves forward over little-endian fields, never past the end.
struct ByteCursor {
    let file: MappedFile
    private(set) var offset = 0
    /// What is being read, for messages: a tensor or metadata key.
    var subject: String?

    init(_ file: MappedFile) { self.file = file }

    var remaining: Int { file.byteCount - offset }

    func malformed(_ reason: String) -> LoadError { .malformed(file: file.path, tensor: subject, reason: reason) }

    /// Passes over `count` bytes and tells where they were.
    mutating func skip(_ count: Int, _ what: StaticString) throws(LoadError) -> Range<Int> {
        guard count >= 0, count <= remaining else { throw malformed("the file ends inside \(what)") }
        defer { offset += count }
        return offset..<offset + count
    }

    mutating func integer<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type, _ what: StaticString) throws(LoadError) -> Value {
        let range = try skip(MemoryLayout<Value>.size, what)
        return Value(littleEndian: file.bytes.loadUnaligned(fromByteOffset: range.lowerBound, as: type))
    }

    /// A length or count: a u64 that may not be larger than `limit`.
    mutating func count(_ what: StaticString, limit: Int) throws(LoadError) -> Int {
        let value = try integer(UInt64.self, what)
        guard let count = Int(exactly: value), count <= limit else {
            throw malformed("\(what) is \(value), more than the \(limit) that fit")
        }
        return count
    }

    /// A string with its length in front, as the range of its bytes.
    mutating func stringRange(_ what: StaticString, maxLength: Int = .max) throws(LoadError) -> Range<Int> {
        let length = try integer(UInt64.self, what)
        guard let count = Int(exactly: length), count <= maxLength else { throw malformed("\(what) is \(length) bytes long") }
        return try skip(count, what)
    }

    /// A short string that must be valid UTF-8.
    mutating func string(_ what: StaticString, maxLength: Int) throws(LoadError) -> String {
        let range = try stringRange(what, maxLength: maxLength)
        guard let text = String(validating: file.bytes[range], as: UTF8.self) else { throw malformed("\(what) is not valid UTF-8") }
        return text
    }
}
