/// Where the hub and its cache are, and who asks: the environment variables of Python's `huggingface_hub`, read the same way.
package struct HubSettings: Sendable {
    /// Address without a slash at its end.
    package var endpoint: HubURL
    /// The folder of `models--org--name` folders.
    package var cache: String
    package var token: HubToken?
    package var isOffline: Bool
    /// A transfer that brings nothing for this long counts as broken, in seconds.
    package var idleTimeout: Int
    package var connectTimeout: Int = 10
    package var parallelFiles: Int = 4
    package var retries = RetryPolicy()
    /// PEM file or folder of certificate authorities to trust instead of the system's.
    package var certificateAuthorities: String?
    package var proxy: HubURL?
    package var userAgent = "needletail; hub-client/1"

    /// - Parameter environment: `HF_ENDPOINT`; `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`; `HF_TOKEN`,
    ///   `HUGGING_FACE_HUB_TOKEN`, `HF_TOKEN_PATH`, `HF_HUB_DISABLE_IMPLICIT_TOKEN`; `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`;
    ///   `HF_HUB_DOWNLOAD_TIMEOUT`; `SSL_CERT_FILE`, `SSL_CERT_DIR`; `HTTPS_PROXY` or `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`.
    package init(environment: [String: String]) throws(HubError) {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        func path(_ name: String) -> String? { value(name).map { Self.expand($0, environment) } }

        let endpointText = value("HF_ENDPOINT") ?? "https://huggingface.co"
        guard let endpoint = HubURL(endpointText) else {
            throw .badSetting(name: "HF_ENDPOINT", reason: "'\(endpointText)' is not an http or https address")
        }
        self.endpoint = endpoint.withoutTrailingSlash

        let userCache = value("XDG_CACHE_HOME") ?? Self.expand("~/.cache", environment)
        let home = path("HF_HOME") ?? Self.expand(Files.join(userCache, "huggingface"), environment)
        cache = path("HF_HUB_CACHE") ?? path("HUGGINGFACE_HUB_CACHE") ?? Files.join(home, "hub")

        isOffline = Self.isTrue(value("HF_HUB_OFFLINE") ?? value("TRANSFORMERS_OFFLINE"))
        certificateAuthorities = path("SSL_CERT_FILE") ?? path("SSL_CERT_DIR")
        proxy = try Self.proxy(for: endpoint, environment)

        idleTimeout = 10
        if let text = value("HF_HUB_DOWNLOAD_TIMEOUT") {
            guard let seconds = Int(text), seconds >= 0, seconds < 1_000_000 else {
                throw .badSetting(name: "HF_HUB_DOWNLOAD_TIMEOUT", reason: "'\(text)' is not a number of seconds")
            }
            if seconds > 0 { idleTimeout = seconds }
        }

        token = nil
        if !Self.isTrue(value("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
            let tokenFile = path("HF_TOKEN_PATH") ?? Files.join(home, "token")
            for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] where token == nil {
                token = try value(name).flatMap { text throws(HubError) in try HubToken(text, source: name) }
            }
            if token == nil, let bytes = Files.contents(tokenFile, limit: 64 * 1024) {
                token = try HubToken(String(decoding: bytes, as: UTF8.self), source: "the file \(tokenFile)")
            }
        }
    }

    /// Python's reading of a switch: `1`, `ON`, `YES`, `TRUE`, in any case.
    static func isTrue(_ text: String?) -> Bool {
        ["1", "ON", "YES", "TRUE"].contains((text ?? "").uppercased())
    }

    /// `~` at the start, `$NAME` and `${NAME}` anywhere; unknown names stay as written, as in Python's `expandvars`.
    package static func expand(_ path: String, _ environment: [String: String]) -> String {
        var text = path
        if text == "~" || text.hasPrefix("~/") {
            text = (environment["HOME"] ?? Files.homeFolder() ?? "") + text.dropFirst()
        }
        guard text.contains("$") else { return text }
        var result = "", rest = Substring(text)
        while let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            let braced = rest.first == "{"
            let body = braced ? rest.dropFirst() : rest
            let name = body.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
            let after = body[name.endIndex...]
            guard !name.isEmpty, !braced || after.first == "}", let value = environment[String(name)] else {
                result += "$"
                continue
            }
            result += value
            rest = braced ? after.dropFirst() : after
        }
        return result + rest
    }

    private static func proxy(for endpoint: HubURL, _ environment: [String: String]) throws(HubError) -> HubURL? {
        func either(_ name: String) -> String? {
            let text = environment[name.lowercased()] ?? environment[name] ?? ""
            return text.isEmpty ? nil : text
        }
        let name = endpoint.isEncrypted ? "HTTPS_PROXY" : "HTTP_PROXY"
        guard let text = either(name) ?? either("ALL_PROXY") else { return nil }
        for entry in (either("NO_PROXY") ?? "").split(separator: ",") {
            let suffix = entry.filter { $0 != " " }.lowercased()
            let bare = suffix.hasPrefix(".") ? String(suffix.dropFirst()) : suffix
            if bare == "*" || endpoint.host == bare || endpoint.host.hasSuffix("." + bare) { return nil }
        }
        guard let proxy = HubURL(text.contains("://") ? text : "http://" + text) else {
            throw .badSetting(name: name, reason: "not the address of an HTTP proxy")
        }
        return proxy
    }
}

/// A secret for the hub. It prints as its source only.
package struct HubToken: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let secret: String
    /// Where it came from, for error messages.
    package let source: String

    /// nil for blank text. White space around it and line breaks are dropped, as Python does.
    package init?(_ text: String, source: String) throws(HubError) {
        let kept = text.unicodeScalars.filter { $0 != "\r" && $0 != "\n" }
        let blank: (Unicode.Scalar) -> Bool = { $0 == " " || $0 == "\t" }
        let core = kept.drop(while: blank).reversed().drop(while: blank).reversed()
        guard !core.isEmpty else { return nil }
        guard core.allSatisfy({ (0x21...0x7E).contains($0.value) }) else {
            throw .badSetting(name: source, reason: "the token holds characters that no token has")
        }
        secret = String(String.UnicodeScalarView(core))
        self.source = source
    }

    package var description: String { "token from \(source)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["source": source]) }
}

/// How often and how patiently a broken request is tried again.
package struct RetryPolicy: Sendable {
    /// Tries in a row that brought no new byte.
    package var attempts = 5
    /// All tries of one file, so that a server that always breaks after a few bytes does not hold us for ever.
    package var attemptsInAll = 60
    package var firstDelay: Duration = .milliseconds(500)
    package var longestDelay: Duration = .seconds(16)

    package init() {}

    /// Doubles from the first to the longest.
    /// - Parameter attempt: 1 for the delay before the second try.
    package func delay(before attempt: Int) -> Duration {
        var delay = firstDelay
        for _ in 1..<max(2, min(attempt, 30)) where attempt > 1 && delay < longestDelay { delay = delay * 2 }
        return min(delay, longestDelay)
    }
}
