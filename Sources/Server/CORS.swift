internal import HTTPTypes

/// Cross-origin headers, for browsers.
struct CORS: Sendable {
    private let options: CORSOptions

    init(_ options: CORSOptions) { self.options = options }

    /// Headers for a reply to `request`; nil if its origin is none that is allowed.
    func headers(for request: HTTPRequest) -> HTTPFields? {
        guard let origin = request.headerFields[.origin], !options.allowedOrigins.isEmpty else { return nil }
        let any = options.allowedOrigins.contains("*")
        guard any || options.allowedOrigins.contains(origin) else { return nil }
        var headers = HTTPFields()
        // A wildcard is not allowed together with credentials.
        headers[.accessControlAllowOrigin] = any && !options.allowsCredentials ? "*" : origin
        if !any || options.allowsCredentials { headers[.vary] = "Origin" }
        if options.allowsCredentials { headers[.accessControlAllowCredentials] = "true" }
        if isPreflight(request) {
            headers[.accessControlAllowMethods] =
                options.allowedMethods.contains("*") ? "GET, POST, OPTIONS" : options.allowedMethods.joined(separator: ", ")
            headers[.accessControlAllowHeaders] =
                options.allowedHeaders.contains("*")
                ? request.headerFields[.accessControlRequestHeaders] ?? "*" : options.allowedHeaders.joined(separator: ", ")
            headers[.accessControlMaxAge] = "600"
        }
        return headers
    }

    func isPreflight(_ request: HTTPRequest) -> Bool {
        request.method == .options && request.headerFields[.accessControlRequestMethod] != nil
    }
}
