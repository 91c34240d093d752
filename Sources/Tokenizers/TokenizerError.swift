/// Why a tokenizer cannot be loaded, or a text not be encoded.
package enum TokenizerError: Error, Equatable, CustomStringConvertible, Sendable {
    /// The file cannot be read.
    case unreadable(path: String, reason: String)
    /// The file is not what it claims to be: where in it, and what is wrong.
    case malformed(part: String, reason: String)
    /// A kind of component that this room does not know.
    case unsupported(part: String, name: String)
    /// The vocabulary has neither a piece nor an unknown token for a part of the text.
    case unknownTokenMissing(piece: String)
    /// A pattern of the tokenizer needs more steps on this text than are allowed.
    case patternTooCostly(pattern: String)

    package var description: String {
        switch self {
        case .unreadable(let path, let reason): "cannot read \(path): \(reason)"
        case .malformed(let part, let reason): "malformed tokenizer, \(part): \(reason)"
        case .unsupported(let part, let name): "unsupported tokenizer, \(part): '\(name)' is not known"
        case .unknownTokenMissing(let piece): "the tokenizer has no token for '\(piece)' and no unknown token"
        case .patternTooCostly(let pattern): "the tokenizer's pattern '\(pattern)' takes too many steps on this text"
        }
    }
}
