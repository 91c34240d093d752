import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// What a request is about, so that a refusal can be put in words.
struct RequestSubject: Sendable {
    let repo: RepoID
    let revision: String
    var file: String?
}

/// A failure that another try may mend.
struct Transient: Error {
    let error: HubError
    /// The server's own wish (`Retry-After`).
    var after: Duration?
}

/// HTTP to the hub and to where it redirects: who gets the token, which redirects are followed, how failures are named.
///
/// Throws `HubError`, `Transient` and `CancellationError` only.
struct HubTransport: Sendable {
    let client: HTTPClient
    let settings: HubSettings

    struct Answer: Sendable {
        let status: Int
        /// Of the last answer, and below them what earlier hops on the hub said about the file (etag, size, commit).
        let headers: HTTPHeaders
        let body: HTTPClientResponse.Body
        let url: HubURL
    }

    enum Follow { case everywhere, hubOnly }

    private static let longestChain = 10
    /// A redirect's page up to this many bytes is read to its end, which keeps the connection; longer ones are hung up on.
    private static let drainedBytes = 64 * 1024

    static func configuration(_ settings: HubSettings) throws(HubError) -> HTTPClient.Configuration {
        var tls = TLSConfiguration.makeClientConfiguration()
        if let authorities = settings.certificateAuthorities {
            guard Files.kind(authorities) != nil else {
                throw .badSetting(name: "SSL_CERT_FILE", reason: "there is no file or folder \(authorities)")
            }
            if Files.kind(authorities) == .file, (try? NIOSSLCertificate.fromPEMFile(authorities))?.isEmpty != false {
                throw .badSetting(name: "SSL_CERT_FILE", reason: "\(authorities) holds no certificates in PEM format")
            }
            tls.trustRoots = .file(authorities)
        }
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(Int64(settings.connectTimeout)), read: .seconds(Int64(settings.idleTimeout))),
            decompression: .disabled)
        configuration.httpVersion = .http1Only
        configuration.connectionPool.retryConnectionEstablishment = false
        if let proxy = settings.proxy { configuration.proxy = .server(host: proxy.host, port: proxy.port) }
        return configuration
    }

    /// Sends one request and follows redirects. The token goes to the hub's own origin only: from the first hop elsewhere on it is
    /// left out, even if a later hop leads back.
    func send(
        _ method: HTTPMethod, _ start: HubURL, headers: [(String, String)] = [], follow: Follow = .everywhere
    ) async throws -> Answer {
        var url = start, isTrusted = true, told = HTTPHeaders()
        for _ in 0...Self.longestChain {
            isTrusted = isTrusted && isHub(url)
            var request = HTTPClientRequest(url: url.text)
            request.method = method
            request.headers = HTTPHeaders(headers)
            request.headers.add(name: "User-Agent", value: settings.userAgent)
            request.headers.add(name: "Accept-Encoding", value: "identity")
            if isTrusted, let token = settings.token { request.headers.add(name: "Authorization", value: "Bearer \(token.secret)") }

            let response: HTTPClientResponse
            do {
                response = try await client.execute(request, deadline: .now() + .hours(1))
            } catch {
                throw failure(error, at: url)
            }
            let status = Int(response.status.code)
            var merged = response.headers
            if isTrusted {
                for name in ["X-Repo-Commit", "X-Linked-Etag", "X-Linked-Size"] {
                    if let value = response.headers.first(name: name) { told.replaceOrAdd(name: name, value: value) }
                    if let value = told.first(name: name) { merged.replaceOrAdd(name: name, value: value) }
                }
            }
            guard [301, 302, 303, 307, 308].contains(status), let location = response.headers.first(name: "Location") else {
                return Answer(status: status, headers: merged, body: response.body, url: url)
            }
            guard let next = url.resolving(location) else {
                throw HubError.badAnswer(url: url.withoutQuery, reason: "it redirects to something that is no address")
            }
            if url.isEncrypted, !next.isEncrypted { throw HubError.unsafeRedirect(from: url.withoutQuery, to: next.withoutQuery) }
            if follow == .hubOnly, !isHub(next) {
                return Answer(status: status, headers: merged, body: response.body, url: url)
            }
            try await drain(response)
            url = next
        }
        throw HubError.tooManyRedirects(url: start.withoutQuery)
    }

    /// The whole body, or an error where it is longer than `limit` bytes.
    func collect(_ answer: Answer, limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            for try await buffer in answer.body {
                guard bytes.count + buffer.readableBytes <= limit else {
                    throw HubError.badAnswer(url: answer.url.withoutQuery, reason: "it is longer than \(limit) bytes")
                }
                bytes += buffer.readableBytesView
            }
        } catch {
            throw failure(error, at: answer.url)
        }
        return bytes
    }

    /// Runs `body` again while it fails in ways that pass.
    /// - Parameter hasFallback: where the hub cannot be reached at all, try only once more, because the caller has a cache.
    func retrying<Result>(hasFallback: Bool = false, _ body: () async throws -> Result) async throws -> Result {
        var attempt = 1
        while true {
            do {
                return try await body()
            } catch let fault as Transient {
                var limit = settings.retries.attempts
                if hasFallback, case .network = fault.error { limit = min(limit, 2) }
                guard attempt < limit else { throw fault.error }
                try await Task.sleep(for: wait(fault, attempt: attempt))
                attempt += 1
            }
        }
    }

    /// Back-off with up to a quarter of jitter; a server's own wish counts if it is not absurd (5 minutes).
    func wait(_ fault: Transient, attempt: Int) -> Duration {
        let delay = settings.retries.delay(before: attempt)
        let jitter = delay * Double.random(in: 0...0.25)
        return max(delay + jitter, min(fault.after ?? .zero, .seconds(300)))
    }

    func isHub(_ url: HubURL) -> Bool {
        if url.hasSameOrigin(as: settings.endpoint) { return true }
        let home = ["huggingface.co", "hf.co"]
        return settings.endpoint.isEncrypted && url.isEncrypted && url.port == 443 && settings.endpoint.port == 443
            && home.contains(settings.endpoint.host) && home.contains(url.host)
    }

    private func drain(_ response: HTTPClientResponse) async throws {
        guard let length = response.headers.first(name: "Content-Length").flatMap(Int.init), length <= Self.drainedBytes else { return }
        do {
            for try await _ in response.body {}
        } catch is CancellationError {
            throw CancellationError()
        } catch {}  // the redirect itself is known; a torn page takes nothing from it
    }

    /// Names what the network library threw.
    func failure(_ error: any Error, at url: HubURL) -> any Error {
        if Task.isCancelled { return CancellationError() }
        func transient(_ reason: String) -> Transient { Transient(error: .network(host: url.host, reason: reason)) }
        switch error {
        case is CancellationError, is HubError, is Transient: return error
        case let error as HTTPClientError:
            if error == .cancelled { return CancellationError() }
            if error == .readTimeout {
                return transient("nothing arrived for \(settings.idleTimeout) s (HF_HUB_DOWNLOAD_TIMEOUT sets this)")
            }
            if error == .connectTimeout { return transient("no connection within \(settings.connectTimeout) s") }
            if error == .remoteConnectionClosed { return transient("the connection was closed early") }
            return transient("\(error)")
        case NIOSSLError.uncleanShutdown: return transient("the connection was closed early")
        case let error as NIOSSLError:
            switch error {
            case .handshakeFailed, .unableToValidateCertificate, .noCertificateToValidate, .failedToLoadCertificate,
                .noSuchFilesystemObject:
                return HubError.tls(host: url.host, reason: Self.reason(error))
            default: return transient("\(error)")
            }
        case is NIOSSLExtraError, is BoringSSLError: return HubError.tls(host: url.host, reason: Self.reason(error))
        case let error as NIOConnectionError:
            if error.connectionErrors.isEmpty { return transient("its name does not resolve") }
            let reasons = Set(error.connectionErrors.map { Self.reason($0.error) }).sorted()
            return transient("no connection to port \(error.port) (\(reasons.joined(separator: "; ")))")
        default: return transient(Self.reason(error))
        }
    }

    /// The system's words for its own errors, and of BoringSSL's the one that says something (`certificate verify failed`).
    private static func reason(_ error: any Error) -> String {
        if let error = error as? IOError { return Files.text(of: error.errnoCode) }
        let text = "\(error)", marker = "OPENSSL_internal:"
        guard let range = text.ranges(of: marker).last else { return text }
        return text[range.upperBound...].prefix { $0.isLetter || $0 == "_" || $0.isNumber }.lowercased().replacing("_", with: " ")
    }
}
