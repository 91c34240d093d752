import Tensors

/// An array of strings in a GGUF file, left where it is: one walk over the lengths gives random access to the bytes.
package struct GGUFStrings: Sendable, RandomAccessCollection {
    private let file: MappedFile
    /// Offset and length of each string's bytes in the file.
    private let ranges: [(start: Int, count: Int)]

    init(file: MappedFile, ranges: [(start: Int, count: Int)]) {
        self.file = file
        self.ranges = ranges
    }

    package var startIndex: Int { 0 }
    package var endIndex: Int { ranges.count }

    /// The string at `index`, with what is no valid UTF-8 repaired.
    package subscript(index: Int) -> String { withBytes(index) { String(decoding: $0, as: UTF8.self) } }

    /// Lends the bytes of a string, which any file may have made invalid UTF-8.
    package func withBytes<Result, Failure: Error>(
        _ index: Int, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let (start, count) = ranges[index]
        defer { withExtendedLifetime(file) {} }
        return try body(UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + count]))
    }

    /// All strings decoded.
    package var strings: [String] { map { $0 } }
}
