/// Why a text is not JSON, and where.
package struct JSONError: Error, Equatable, CustomStringConvertible {
    package let reason: String
    /// Offset in bytes from the start of the text.
    package let offset: Int
    /// Both count from 1; the column counts bytes.
    package let line: Int, column: Int

    package var description: String { "\(reason) at line \(line) column \(column) (byte \(offset))" }
}
