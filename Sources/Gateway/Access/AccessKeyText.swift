internal import Crypto
package import Jobs

/// A fresh key in clear, shown to whoever asked for it and to nobody else: printing it shows its role only.
package struct AccessKeyText: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// `nt_<role>_` and 43 characters of base64url, 256 random bits.
    package let text: String
    package let role: AccessKey.Role
    /// SHA-256 of `text`, what is kept.
    package let hash: [UInt8]

    package static func make(role: AccessKey.Role) -> AccessKeyText {
        var generator = SystemRandomNumberGenerator()
        var bytes: [UInt8] = []
        for _ in 0..<4 { withUnsafeBytes(of: generator.next() as UInt64) { bytes.append(contentsOf: $0) } }
        return AccessKeyText("nt_\(role.rawValue)_" + Base64Text.url(bytes), role)
    }

    private init(_ text: String, _ role: AccessKey.Role) {
        self.text = text
        self.role = role
        hash = Self.hash(of: text)
    }

    package static func hash(of key: String) -> [UInt8] { Array(SHA256.hash(data: Array(key.utf8))) }

    /// `sha256:<64 hexadecimal digits>`, as configuration files hold it.
    package static func written(_ hash: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return "sha256:" + String(decoding: hash.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// The 32 bytes of a `sha256:<64 hexadecimal digits>`; nil where it is none.
    package static func parseHash(_ text: String) -> [UInt8]? {
        guard text.hasPrefix("sha256:") else { return nil }
        let digits = Array(text.utf8.dropFirst(7))
        guard digits.count == 64 else { return nil }
        var hash: [UInt8] = []
        for place in stride(from: 0, to: 64, by: 2) {
            guard let high = hexValue(digits[place]), let low = hexValue(digits[place + 1]) else { return nil }
            hash.append(high << 4 | low)
        }
        return hash
    }

    private static func hexValue(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    package var description: String { "nt_\(role.rawValue)_…" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["role": role]) }
}
