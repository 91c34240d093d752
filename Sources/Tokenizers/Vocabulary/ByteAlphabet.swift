/// GPT-2's alphabet: one printable character for each byte, so that byte-level pieces can be written as text.
///
/// Bytes `!`…`~`, `¡`…`¬` and `®`…`ÿ` stand for themselves; the others take U+0100 onwards in order.
enum ByteAlphabet {
    /// Scalar of each byte.
    static let scalars: [UInt16] = {
        var next: UInt16 = 256
        return (0..<256).map { (byte: UInt16) -> UInt16 in
            if 0x21...0x7E ~= byte || 0xA1...0xAC ~= byte || 0xAE...0xFF ~= byte { return byte }
            next += 1
            return next - 1
        }
    }()

    /// Byte of each scalar below U+0144, or -1.
    static let bytes: [Int16] = {
        var table = [Int16](repeating: -1, count: 0x144)
        for (byte, scalar) in scalars.enumerated() { table[Int(scalar)] = Int16(byte) }
        return table
    }()

    /// The bytes that a piece stands for, or nil where a character is not of the alphabet.
    static func decode(_ piece: UnsafeBufferPointer<UInt8>, into output: inout [UInt8]) -> Bool {
        let start = output.count
        var index = 0
        while index < piece.count {
            let byte = piece[index]
            var scalar = Int(byte)
            if byte < 0x80 {
                index += 1
            } else {
                // Only two-byte characters are in the alphabet.
                guard byte & 0xE0 == 0xC0, index + 1 < piece.count else {
                    output.removeLast(output.count - start)
                    return false
                }
                scalar = Int(byte & 0x1F) << 6 | Int(piece[index + 1] & 0x3F)
                index += 2
            }
            guard scalar < bytes.count, bytes[scalar] >= 0 else {
                output.removeLast(output.count - start)
                return false
            }
            output.append(UInt8(truncatingIfNeeded: bytes[scalar]))
        }
        return true
    }

    @inline(__always) static func encode(_ byte: UInt8, into output: inout [UInt8]) {
        let scalar = scalars[Int(byte)]
        if scalar < 0x80 {
            output.append(UInt8(truncatingIfNeeded: scalar))
        } else {
            output.append(0xC0 | UInt8(truncatingIfNeeded: scalar >> 6))
            output.append(0x80 | UInt8(truncatingIfNeeded: scalar & 0x3F))
        }
    }
}
