/// A key as a terminal in raw mode sends it.
package enum Key: Sendable, Equatable {
    case character(Unicode.Scalar)
    case enter, backspace, delete, tab
    case left, right, up, down, home, end, wordLeft, wordRight
    /// Ctrl with a letter, in lower case.
    case control(Character)
    /// Text between the terminal's paste marks; its line breaks are no Enter.
    case paste(String)
}

/// Bytes of a terminal to keys: UTF-8, the escape sequences of xterm and its relatives, bracketed paste. Bytes may come in any pieces.
/// What is no known key is dropped.
package struct KeyDecoder: Sendable {
    private enum State {
        case ground
        case character(scalar: UInt32, missing: Int, smallest: UInt32)
        case escape
        case sequence([UInt8])
        case paste([UInt8])
    }

    private var state = State.ground
    private static let pasteEnd = Array("\u{1B}[201~".utf8)
    /// Longest escape sequence that is waited for.
    private static let longestSequence = 16

    package init() {}

    /// The key that `byte` completes, if any.
    package mutating func feed(_ byte: UInt8) -> Key? {
        switch state {
        case .ground: return ground(byte)
        case .character(let scalar, let missing, let smallest):
            guard byte & 0xC0 == 0x80 else {
                // A broken character is dropped, and this byte begins something new.
                state = .ground
                return ground(byte)
            }
            let grown = scalar << 6 | UInt32(byte & 0x3F)
            guard missing == 1 else {
                state = .character(scalar: grown, missing: missing - 1, smallest: smallest)
                return nil
            }
            state = .ground
            guard grown >= smallest, let character = Unicode.Scalar(grown), grown >= 0xA0 else { return nil }
            return .character(character)
        case .escape:
            switch byte {
            case UInt8(ascii: "["), UInt8(ascii: "O"): state = .sequence([byte])
            case UInt8(ascii: "b"):
                state = .ground
                return .wordLeft
            case UInt8(ascii: "f"):
                state = .ground
                return .wordRight
            case 0x1B: break
            default: state = .ground
            }
            return nil
        case .sequence(var bytes):
            state = .ground
            bytes.append(byte)
            if (0x40...0x7E).contains(byte) { return key(of: bytes) }
            if bytes.count < Self.longestSequence { state = .sequence(bytes) }
            return nil
        case .paste(var bytes):
            // Taken out first, so that the array is not copied.
            state = .ground
            bytes.append(byte)
            guard byte == UInt8(ascii: "~"), bytes.suffix(Self.pasteEnd.count).elementsEqual(Self.pasteEnd) else {
                state = .paste(bytes)
                return nil
            }
            let text = String(decoding: bytes.dropLast(Self.pasteEnd.count), as: UTF8.self)
            return .paste(text.replacing("\r\n", with: "\n").replacing("\r", with: "\n"))
        }
    }

    private mutating func ground(_ byte: UInt8) -> Key? {
        switch byte {
        case 0x0D, 0x0A: return .enter
        case 0x7F, 0x08: return .backspace
        case 0x09: return .tab
        case 0x1B: state = .escape
        case 0x01...0x1A: return .control(Character(Unicode.Scalar(byte + 0x60)))
        case 0x20..<0x7F: return .character(Unicode.Scalar(byte))
        case 0xC2...0xDF: state = .character(scalar: UInt32(byte & 0x1F), missing: 1, smallest: 0x80)
        case 0xE0...0xEF: state = .character(scalar: UInt32(byte & 0x0F), missing: 2, smallest: 0x800)
        case 0xF0...0xF4: state = .character(scalar: UInt32(byte & 0x07), missing: 3, smallest: 0x1_0000)
        default: break
        }
        return nil
    }

    /// - Parameter bytes: what followed the escape byte.
    private mutating func key(of bytes: [UInt8]) -> Key? {
        switch String(decoding: bytes, as: UTF8.self) {
        case "[A", "OA": return .up
        case "[B", "OB": return .down
        case "[C", "OC": return .right
        case "[D", "OD": return .left
        case "[H", "OH", "[1~", "[7~": return .home
        case "[F", "OF", "[4~", "[8~": return .end
        case "[3~": return .delete
        case "[1;5C", "[1;3C": return .wordRight
        case "[1;5D", "[1;3D": return .wordLeft
        case "[200~":
            state = .paste([])
            return nil
        default: return nil
        }
    }
}
