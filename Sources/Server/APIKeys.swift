internal import HTTPTypes
internal import Web

/// The keys that open `/v1`.
struct APIKeys: Sendable {
    private let keys: [[UInt8]]

    init(_ keys: [String]) { self.keys = keys.map { Array($0.utf8) } }

    /// Compares in time that depends only on lengths, and with every key.
    func allow(_ headers: HTTPFields) -> Bool {
        if keys.isEmpty { return true }
        guard let given = Self.bearer(headers) ?? headers[.xAPIKey].map({ Array($0.utf8) }) else { return false }
        var allowed = false
        for key in keys where ConstantTime.equal(given, key) { allowed = true }
        return allowed
    }

    private static func bearer(_ headers: HTTPFields) -> [UInt8]? {
        guard let header = headers[.authorization], let space = header.firstIndex(of: " "), header[..<space].lowercased() == "bearer" else { return nil }
        return Array(header[header.index(after: space)...].utf8)
    }
}
