/// Why a webhook cannot be sent to a URL; for clients.
package struct WebhookRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = "webhook: \(description)" }
}

/// A webhook's URL in parts, read by one strict reader: whatever else reads `url` later finds the same host in it.
package struct WebhookTarget: Sendable, Equatable {
    package let isEncrypted: Bool
    /// Lower case; an IPv6 address without its brackets.
    package let host: String
    package let port: Int
    /// Path and query, `/` at least.
    package let path: String
    /// Set where the host is written as an address.
    package let address: IPAddress?

    /// Written anew from the parts.
    package var url: String {
        let name = address?.isV6 == true ? "[\(host)]" : host
        return "\(isEncrypted ? "https" : "http")://\(name):\(port)\(path)"
    }

    private static let longestURLInBytes = 2048

    /// What can be said without asking the network; the address that a name stands for is checked when the connection is made.
    /// - Parameter allowsPrivate: whether loopback and private addresses are allowed.
    package static func check(url: String, allowsPrivate: Bool) throws(WebhookRefusal) -> WebhookTarget {
        let target = try WebhookTarget(url)
        if let address = target.address, let reason = address.refusal(allowsPrivate: allowsPrivate) {
            throw WebhookRefusal("\(address) is \(reason)")
        }
        if !allowsPrivate, target.host == "localhost" || target.host.hasSuffix(".localhost") {
            throw WebhookRefusal("'\(target.host)' is this machine, and this endpoint allows no private targets")
        }
        return target
    }

    private init(_ url: String) throws(WebhookRefusal) {
        guard url.utf8.count <= Self.longestURLInBytes else { throw WebhookRefusal("the URL is longer than \(Self.longestURLInBytes) bytes") }
        guard url.utf8.allSatisfy(Self.isURLByte) else {
            throw WebhookRefusal("the URL holds characters that must be percent-encoded (host names: their xn-- form)")
        }
        let rest: Substring
        if url.lowercased().hasPrefix("https://") {
            isEncrypted = true
            rest = url.dropFirst(8)
        } else if url.lowercased().hasPrefix("http://") {
            isEncrypted = false
            rest = url.dropFirst(7)
        } else {
            throw WebhookRefusal("the URL must begin with http:// or https://")
        }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let authority = rest[..<end]
        guard !authority.contains("@") else { throw WebhookRefusal("the URL may hold no user name or password") }
        let location = rest[end...].prefix { $0 != "#" }
        path = location.hasPrefix("/") ? String(location) : "/" + location
        (host, address, port) = try Self.host(authority, isEncrypted ? 443 : 80)
    }

    private static func host(_ authority: Substring, _ usualPort: Int) throws(WebhookRefusal) -> (String, IPAddress?, Int) {
        var name = authority
        var portText: Substring?
        if name.hasPrefix("[") {
            guard let close = name.firstIndex(of: "]") else { throw WebhookRefusal("the URL's host lacks its ']'") }
            let after = name[name.index(after: close)...]
            guard after.isEmpty || after.hasPrefix(":") else { throw WebhookRefusal("the URL's host cannot be read") }
            portText = after.isEmpty ? nil : after.dropFirst()
            name = name[..<close].dropFirst()
            guard let address = IPAddress(String(name)), address.isV6 else { throw WebhookRefusal("the URL's host is no IPv6 address") }
            return (address.description, address, try port(portText, usualPort))
        }
        if let colon = name.firstIndex(of: ":") {
            portText = name[name.index(after: colon)...]
            name = name[..<colon]
        }
        let host = name.lowercased()
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...253).contains(host.utf8.count), labels.allSatisfy({ (1...63).contains($0.utf8.count) && $0.utf8.allSatisfy(isHostByte) }) else {
            throw WebhookRefusal("the URL's host is no host name")
        }
        let number = try port(portText, usualPort)
        if let address = IPAddress(host) { return (host, address, number) }
        // `127.1`, `2130706433`, `0x7f.1`: addresses to some resolvers, names to others.
        if let last = labels.last, last.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) || last.hasPrefix("0x") {
            throw WebhookRefusal("the URL's host is no complete IPv4 address")
        }
        return (host, nil, number)
    }

    private static func port(_ text: Substring?, _ usual: Int) throws(WebhookRefusal) -> Int {
        guard let text, !text.isEmpty else { return usual }
        guard text.utf8.count <= 5, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let port = Int(text),
            (1...65_535).contains(port)
        else { throw WebhookRefusal("the URL's port is no number from 1 to 65535") }
        return port
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }

    /// Printable ASCII without those that no URL may hold as they are (RFC 3986).
    private static func isURLByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\\"), UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "{"),
            UInt8(ascii: "|"), UInt8(ascii: "}"):
            false
        default: (0x21...0x7E).contains(byte)
        }
    }
}
