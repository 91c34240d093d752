/// Base64 (RFC 4648).
package enum Base64Text {
    /// With `+`, `/` and padding.
    package static func standard(_ bytes: [UInt8]) -> String {
        let text = encode(bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        return text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
    }

    /// With `-` and `_`, without padding: fit for URLs and file names.
    package static func url(_ bytes: [UInt8]) -> String {
        encode(bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    }

    private static func encode(_ bytes: [UInt8], _ alphabet: StaticString) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var bits: UInt32 = 0
        var bitCount: UInt32 = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            bitCount += 8
            while bitCount >= 6 {
                bitCount -= 6
                text.append(alphabet.utf8Start[Int(bits >> bitCount & 63)])
            }
        }
        if bitCount > 0 { text.append(alphabet.utf8Start[Int(bits << (6 - bitCount) & 63)]) }
        return String(decoding: text, as: UTF8.self)
    }
}
