internal import AsyncHTTPClient
internal import Glibc
internal import JSON
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL

/// Requests to the API of a platform (Ray's dashboard, Kubernetes): base address, bearer token, certificate authority, time limits.
///
/// Redirects are not followed: the token goes nowhere but to the address that was given.
final class PlatformClient: Sendable {
    struct Answer: Sendable {
        let status: Int
        let body: [UInt8]

        /// The body as JSON; null where it is none.
        var json: JSONValue { (try? JSONValue(parsing: body)) ?? .null }
        /// The body for people: short and on one line.
        var text: String { OneLine.text(String(decoding: body.prefix(4000), as: UTF8.self)).shortened(300) }
    }

    /// What is asked, for messages: "Ray", "Kubernetes".
    let name: String
    let base: String
    private let tokenFile: String?
    private let client: HTTPClient

    /// - Parameters:
    ///   - base: such as `http://127.0.0.1:8265`; a path in it stands before all paths.
    ///   - authorityFile: PEM; nil: those of the system.
    init(name: String, base: String, tokenFile: String?, authorityFile: String?) throws(ProviderError) {
        guard let address = PlatformAddress(base) else {
            throw ProviderError("\(name): 'address' must be an http:// or https:// address without user name, query and fragment")
        }
        var tls = TLSConfiguration.makeClientConfiguration()
        if let authorityFile {
            let certificates = try? NIOSSLCertificate.fromPEMFile(authorityFile)
            guard certificates?.isEmpty == false else {
                throw ProviderError("\(name): 'certificateAuthorityFile' \(authorityFile) cannot be read or holds no certificates in PEM format")
            }
            tls.trustRoots = .file(authorityFile)
        }
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow, timeout: .init(connect: .seconds(5), read: .seconds(30)), decompression: .disabled)
        configuration.httpVersion = .http1Only
        configuration.connectionPool.retryConnectionEstablishment = false
        self.name = name
        self.base = address.text
        self.tokenFile = tokenFile
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    func close() async { try? await client.shutdown() }

    /// - Parameters:
    ///   - path: percent-encoded, with a slash in front.
    ///   - seconds: for the whole exchange.
    ///   - limit: longest body in bytes.
    func send(
        _ method: HTTPMethod, _ path: String, body: (type: String, json: JSONValue)? = nil, seconds: Int64 = 15, limit: Int = 4 << 20
    ) async throws(ProviderError) -> Answer {
        var bytes: [UInt8] = []
        let status = try await exchange(method, path, body, seconds) { part in
            bytes += part
            return bytes.count <= limit
        }
        return Answer(status: status, body: bytes)
    }

    /// The last `keep` bytes of a body of any length up to `limit`.
    func tail(_ path: String, keep: Int, limit: Int = 256 << 20) async throws(ProviderError) -> Answer {
        var bytes: [UInt8] = [], total = 0
        let status = try await exchange(.GET, path, nil, 30) { part in
            total += part.count
            bytes += part
            if bytes.count > 4 * keep { bytes.removeFirst(bytes.count - keep) }
            return total <= limit
        }
        return Answer(status: status, body: Array(bytes.suffix(keep)))
    }

    /// - Parameter part: takes a piece of the body and says whether more is wanted.
    private func exchange(
        _ method: HTTPMethod, _ path: String, _ body: (type: String, json: JSONValue)?, _ seconds: Int64, _ part: ([UInt8]) -> Bool
    ) async throws(ProviderError) -> Int {
        var request = HTTPClientRequest(url: base + path)
        request.method = method
        request.headers.add(name: "Accept", value: "application/json")
        request.headers.add(name: "User-Agent", value: "needletail")
        if let token = try await token() { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let body {
            request.headers.add(name: "Content-Type", value: body.type)
            request.body = .bytes(ByteBuffer(string: body.json.text))
        }
        do {
            let response = try await client.execute(request, timeout: .seconds(seconds))
            for try await buffer in response.body {
                guard part(Array(buffer.readableBytesView)) else { throw ProviderError("\(name) at \(base) sends an answer that is too long") }
            }
            return Int(response.status.code)
        } catch let error as ProviderError {
            throw error
        } catch {
            throw unreachable(error)
        }
    }

    private func unreachable(_ error: any Error) -> ProviderError {
        let reason: String
        switch error {
        case let error as HTTPClientError where [.connectTimeout, .deadlineExceeded, .readTimeout].contains(error): reason = "it does not answer in time"
        case let error as HTTPClientError where error == .remoteConnectionClosed: reason = "it closed the connection"
        case let error as NIOConnectionError:
            let refused = error.connectionErrors.contains { ($0.error as? IOError)?.errnoCode == ECONNREFUSED }
            reason = refused ? "the connection was refused" : OneLine.text("\(error)").shortened(200)
        case let error as IOError: reason = error.errnoCode == ECONNREFUSED ? "the connection was refused" : SystemError.text(error.errnoCode)
        case is CancellationError: reason = "the request was called off"
        default: reason = OneLine.text("\(error)").shortened(200)
        }
        return ProviderError("cannot reach \(name) at \(base): \(reason)", isCapacity: true)
    }

    /// Read anew each time: tokens in files are replaced while programs run.
    private func token() async throws(ProviderError) -> String? {
        guard let tokenFile else { return nil }
        let bytes = try? await NIOThreadPool.singleton.runIfActive { SmallFile.read(tokenFile, limit: 64 << 10) }
        guard let bytes = bytes ?? nil else { throw ProviderError("\(name): 'tokenFile' \(tokenFile) cannot be read") }
        let token = String(decoding: bytes, as: UTF8.self).trimmingLineEnds()
        guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw ProviderError("\(name): 'tokenFile' \(tokenFile) holds no token (one line of visible ASCII characters)")
        }
        return token
    }
}

/// An address without the parts that do not belong in one.
struct PlatformAddress {
    let text: String

    init?(_ text: String) {
        var text = text
        while text.hasSuffix("/") { text.removeLast() }
        guard let scheme = ["http://", "https://"].first(where: text.hasPrefix), text.utf8.count > scheme.utf8.count,
            text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), !text.contains(where: { "@?#\\\"<>".contains($0) }), !text.hasPrefix(scheme + "/")
        else { return nil }
        self.text = text
    }
}

enum SmallFile {
    /// Nil where it cannot be read or is longer than `limit` bytes.
    static func read(_ path: String, limit: Int) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = [], buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            guard count >= 0, bytes.count + count <= limit else { return nil }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }
}

enum OneLine {
    /// Words with single spaces between, no control characters.
    static func text(_ text: String) -> String { TerminalText.plain(text).split(whereSeparator: \.isWhitespace).joined(separator: " ") }
}

extension String {
    func trimmingLineEnds() -> String {
        var text = Substring(self)
        while text.last?.isWhitespace == true { text.removeLast() }
        while text.first?.isWhitespace == true { text.removeFirst() }
        return String(text)
    }

    /// For a path segment or a query's value: all but `[A-Za-z0-9._~-]` as `%XX`.
    var percentEncoded: String {
        var result = ""
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "-"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = Array("0123456789ABCDEF")
                result += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
        return result
    }
}
