/// An http or https address, as much of one as the hub client needs: origin, path with query, and how to follow a `Location`.
package struct HubURL: Sendable, Hashable {
    package let isEncrypted: Bool
    /// Lower case; IPv6 addresses keep their brackets.
    package let host: String
    package let port: Int
    /// Path and query, as sent; empty or beginning with `/`.
    package let target: String

    /// nil where the text has no http(s) scheme, no host, a user name (refused: it would be a second way to carry secrets), or
    /// characters that do not belong into a request line.
    package init?(_ text: String) {
        let lower = text.lowercased()
        let encrypted = lower.hasPrefix("https://")
        guard encrypted || lower.hasPrefix("http://"),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\\") })
        else { return nil }
        let rest = text.dropFirst(encrypted ? 8 : 7)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.isEmpty, !authority.contains("@") else { return nil }
        let afterBracket = authority.lastIndex(of: "]") ?? authority.startIndex
        var host = authority, port = encrypted ? 443 : 80
        if let colon = authority[afterBracket...].firstIndex(of: ":") {
            host = authority[..<colon]
            let digits = authority[authority.index(after: colon)...]
            if !digits.isEmpty {
                guard let number = Int(digits), (1...65535).contains(number), digits.allSatisfy(\.isNumber) else { return nil }
                port = number
            }
        }
        guard !host.isEmpty else { return nil }
        let target = rest[authority.endIndex...].prefix { $0 != "#" }
        self.init(
            isEncrypted: encrypted, host: host.lowercased(), port: port, target: target.hasPrefix("?") ? "/" + target : String(target))
    }

    private init(isEncrypted: Bool, host: String, port: Int, target: String) {
        (self.isEncrypted, self.host, self.port, self.target) = (isEncrypted, host, port, target)
    }

    package var origin: String {
        let isDefault = port == (isEncrypted ? 443 : 80)
        return (isEncrypted ? "https://" : "http://") + host + (isDefault ? "" : ":\(port)")
    }

    package var text: String { origin + target }

    /// For messages: signed addresses carry rights in their query.
    package var withoutQuery: String { origin + target.prefix { $0 != "?" } }

    package func hasSameOrigin(as other: HubURL) -> Bool {
        isEncrypted == other.isEncrypted && host == other.host && port == other.port
    }

    var withoutTrailingSlash: HubURL {
        var path = Substring(target)
        while path.hasSuffix("/") { path = path.dropLast() }
        return HubURL(isEncrypted: isEncrypted, host: host, port: port, target: String(path))
    }

    /// - Parameter suffix: beginning with `/`, already percent-encoded.
    func appending(_ suffix: String) -> HubURL {
        HubURL(isEncrypted: isEncrypted, host: host, port: port, target: target + suffix)
    }

    /// The address that a `Location` or `Link` header means when it answers this one. Paths are taken as they are (no `..`).
    func resolving(_ reference: String) -> HubURL? {
        if reference.contains("://") { return HubURL(reference) }
        if reference.hasPrefix("//") { return HubURL((isEncrypted ? "https:" : "http:") + reference) }
        if reference.hasPrefix("/") { return HubURL(origin + reference) }
        let path = target.prefix { $0 != "?" }
        if reference.hasPrefix("?") { return HubURL(origin + path + reference) }
        let folder = path.lastIndex(of: "/").map { path[...$0] } ?? "/"
        return HubURL(origin + folder + reference)
    }

    /// Percent-encodes all but unreserved characters and those of `keeping`.
    static func encode(_ text: String, keeping: String = "") -> String {
        let hex = Array("0123456789ABCDEF".utf8)
        var result: [UInt8] = []
        for byte in text.utf8 {
            let scalar = Unicode.Scalar(byte)
            let isUnreserved = byte < 0x80 && (scalar.properties.isAlphabetic || (0x30...0x39).contains(byte)
                || "-._~".utf8.contains(byte) || keeping.utf8.contains(byte))
            if isUnreserved {
                result.append(byte)
            } else {
                result += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
