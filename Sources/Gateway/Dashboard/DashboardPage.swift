internal import Crypto

/// The page at `/dashboard`. It holds no data: what it shows it asks of the admin API, with the key that is typed into it.
package enum DashboardPage {
    package static let html: [UInt8] = PackageResources.page_html

    /// For the response. Scripts and styles are the page's own, named by their hashes; nothing is loaded from or sent to anywhere else.
    package static let headers: [(name: String, value: String)] = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", policy),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-cache"),
    ]

    private static let policy = [
        "default-src 'none'",
        "script-src '\(hash(of: "script"))'",
        "style-src '\(hash(of: "style"))'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ].joined(separator: "; ")

    /// Of the text between the first `<element>` and its end, as CSP writes it.
    private static func hash(of element: String) -> String {
        let page = String(decoding: html, as: UTF8.self)
        guard let text = page.split(separator: "<\(element)>", maxSplits: 1).dropFirst().first?.split(separator: "</\(element)>", maxSplits: 1).first else {
            return "sha256-"
        }
        return "sha256-" + Base64Text.standard(Array(SHA256.hash(data: Array(text.utf8))))
    }
}
