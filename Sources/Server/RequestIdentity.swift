internal import HTTPTypes
internal import Web

/// The client's id of a request, or a random one.
enum RequestIdentity {
    static let header = HTTPField.Name.xRequestID

    /// - Parameter body: `request_id` of the body; the header goes first.
    static func choose(header: String?, body: String? = nil) -> String {
        for candidate in [header, body] {
            if let candidate, isUsable(candidate) { return candidate }
        }
        return random()
    }

    /// Short printable ASCII, so that it can stand in logs and headers as it is.
    static func isUsable(_ id: String) -> Bool {
        !id.isEmpty && id.utf8.count <= 256 && id.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }

    static func random() -> String {
        func hex(_ value: UInt64) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        return hex(.random(in: 0 ... .max)) + hex(.random(in: 0 ... .max))
    }
}
