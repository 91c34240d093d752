internal import Crypto

/// What lets a receiver tell our posts from others'.
package enum WebhookSignature {
    package static let header = "X-Needletail-Signature"

    /// `sha256=` and the HMAC-SHA256 (RFC 2104) of the body under the endpoint's secret, in hexadecimal.
    package static func value(body: [UInt8], secret: String) -> String {
        let code = HMAC<SHA256>.authenticationCode(for: body, using: SymmetricKey(data: Array(secret.utf8)))
        let digits = Array("0123456789abcdef".utf8)
        return "sha256=" + String(decoding: code.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
