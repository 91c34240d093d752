internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore

/// Names that lead to this machine whoever is asked: `localhost`, `127.x.x.x`, `::1`. Any other name may stand for a loopback address only because
/// its owner says so (DNS rebinding).
package enum LoopbackName {
    /// - host: without brackets or port.
    package static func matches(_ host: some StringProtocol) -> Bool { host.lowercased() == "localhost" || IPAddress(String(host))?.isLoopback == true }

    /// Whether `Host` says so: a name or an address in its URL form, with or without a port.
    package static func matches(authority: some StringProtocol) -> Bool {
        let host: Substring
        let rest: Substring
        let text = Substring(authority)
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return false }
            host = text[text.index(after: text.startIndex)..<end]
            guard IPAddress(String(host))?.isV6 == true else { return false }
            rest = text[text.index(after: end)...]
        } else {
            host = text.prefix { $0 != ":" }
            rest = text[host.endIndex...]
        }
        let port = rest.dropFirst()
        guard rest.isEmpty || (rest.hasPrefix(":") && !port.isEmpty && port.allSatisfy { $0.isASCII && $0.isNumber }) else { return false }
        return matches(host)
    }

    /// Whether `Origin` says so; `null` and the origins of files and extensions do not.
    package static func matches(origin: some StringProtocol) -> Bool {
        let text = origin.lowercased()
        return ["http://", "https://"].contains { text.hasPrefix($0) && matches(authority: text.dropFirst($0.count)) }
    }
}

extension GatewayCall {
    /// Whether the request is for this machine by name and from no web page elsewhere. Such a page can reach loopback under a name of its own, and
    /// can send simple requests to `localhost` itself; a browser says both in headers that the page has no say in.
    var isLocal: Bool {
        guard let host = request.head.authority, LoopbackName.matches(authority: host) else { return false }
        if let origin = request.headers[.origin], !LoopbackName.matches(origin: origin) { return false }
        return request.headers[.secFetchSite] != "cross-site"
    }
}

extension HTTPField.Name {
    static let secFetchSite = Self("Sec-Fetch-Site")!
}
