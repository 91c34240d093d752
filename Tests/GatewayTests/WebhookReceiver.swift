import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// An HTTP server on loopback that writes down what it gets.
final class WebhookReceiver: Sendable {
    struct Post: Sendable {
        var method: HTTPMethod
        var uri: String
        var headers: HTTPHeaders
        var body: [UInt8]
    }

    struct Reply: Sendable {
        var status = 200
        var headers: [(String, String)] = []
        var body = ""
        /// Never answers.
        var hangs = false
    }

    /// What came, and what to say to it; shared by the connections.
    fileprivate final class Book: Sendable {
        let posts = Mutex<[Post]>([])
        let arrivals: AsyncStream<Post>.Continuation
        let reply: @Sendable (Int) -> Reply
        let connections = Mutex(0)

        init(_ arrivals: AsyncStream<Post>.Continuation, _ reply: @escaping @Sendable (Int) -> Reply) {
            self.arrivals = arrivals
            self.reply = reply
        }
    }

    let port: Int
    /// Posts as they come.
    let arrivals: AsyncStream<Post>
    private let book: Book
    private let channel: any Channel

    /// - reply: what to answer to the n-th post, from 0.
    init(tls: Bool = false, reply: @escaping @Sendable (Int) -> Reply = { _ in Reply() }) async throws {
        let (arrivals, continuation) = AsyncStream.makeStream(of: Post.self)
        self.arrivals = arrivals
        let book = Book(continuation, reply)
        self.book = book
        let context = tls ? try NIOSSLContext(configuration: Self.serverTLS()) : nil
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    book.connections.withLock { $0 += 1 }
                    if let context { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context)) }
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(book))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
    }

    var posts: [Post] { book.posts.withLock { $0 } }
    var connectionCount: Int { book.connections.withLock { $0 } }

    func close() async throws {
        book.arrivals.finish()
        try await channel.close()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let book: Book
        private var head: HTTPRequestHead?
        private var body: [UInt8] = []

        init(_ book: Book) { self.book = book }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                self.head = head
                body = []
            case .body(let part): body.append(contentsOf: part.readableBytesView)
            case .end:
                guard let head else { return }
                let post = Post(method: head.method, uri: head.uri, headers: head.headers, body: body)
                let number = book.posts.withLock { posts in
                    posts.append(post)
                    return posts.count - 1
                }
                let reply = book.reply(number)
                if !reply.hangs {
                    var headers = HTTPHeaders(reply.headers)
                    headers.add(name: "Content-Length", value: String(reply.body.utf8.count))
                    let head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: reply.status), headers: headers)
                    context.write(wrapOutboundOut(.head(head)), promise: nil)
                    context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: reply.body)))), promise: nil)
                    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
                }
                book.arrivals.yield(post)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    // openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=hooks.test -addext subjectAltName=DNS:hooks.test
    static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBmDCCAT6gAwIBAgIUTEGi3b877+XJQtN6RwAzI6chcNowCgYIKoZIzj0EAwIw
        FTETMBEGA1UEAwwKaG9va3MudGVzdDAgFw0yNjExMjQwMTQ5MTVaGA8yMTI2MTAz
        MTAxNDkxNVowFTETMBEGA1UEAwwKaG9va3MudGVzdDBZMBMGByqGSM49AgEGCCqG
        SM49AwEHA0IABENM7hu8xYssh6tcg7/zUh/VauHgC5N5r1q/LIy+a6GXrcAaCMMO
        amClSlOP2Ft+RqfvNJUSCW06/XRiZZHXiE6jajBoMB0GA1UdDgQWBBTgoMgQYkd+
        eNz/YuuiDkjhqUmVZTAfBgNVHSMEGDAWgBTgoMgQYkd+eNz/YuuiDkjhqUmVZTAP
        BgNVHRMBAf8EBTADAQH/MBUGA1UdEQQOMAyCCmhvb2tzLnRlc3QwCgYIKoZIzj0E
        AwIDSAAwRQIhAIU/emqsbLO1HHeamS5vGcuDDrwYDI+tJtiPV7gFa+aHAiBwCA0E
        R/JkbuKCVfbUUZuCw9u2+CxVlc0IB7IMRtB5lQ==
        -----END CERTIFICATE-----
        """
    private static let key = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXciAW6UYXFfvuzE0
        bVSzW+lWTci1aH6UMvbBrcB0VbKhRANCAARDTO4bvMWLLIerXIO/81If1Wrh4AuT
        ea9avyyMvmuhl63AGgjDDmpgpUpTj9hbfkan7zSVEgltOv10YmWR14hO
        -----END PRIVATE KEY-----
        """

    static func trust() throws -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8)))
        return configuration
    }

    private static func serverTLS() throws -> TLSConfiguration {
        .makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8)).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem)))
    }
}
