import Crypto
import JSON
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// A hub on loopback: one port answers as the hub, another as the storage host that it redirects large files to. It keeps what was
/// asked, and misbehaves on demand.
final class TestHub: Sendable {
    struct Repo: Sendable {
        var id: String
        var commit = String(repeating: "a1b2c3d4", count: 5)
        var files: [String: [UInt8]]
        /// Names of files that go through the storage host under their SHA-256.
        var large: Set<String> = []
        var token: String?
        /// With `token`: answers 403 `GatedRepo` instead of hiding the repository.
        var isGated = false
        var branches = ["main"]
    }

    enum Fault: Sendable {
        case status(Int, [(String, String)] = [])
        /// Closes the connection after so many bytes of the body.
        case breakAfter(Int)
        /// Sends so many bytes and then nothing, with the connection open.
        case stallAfter(Int)
        /// Changes one byte.
        case corrupt
        /// Answers 200 with the whole file whatever range was asked.
        case ignoreRange
        /// One byte too many.
        case tooLong
        /// Sends slowly but steadily: pieces of so many bytes, one every 5 ms.
        case slow(Int)
    }

    struct Request: Sendable {
        let isStorage: Bool
        let method: String
        let target: String
        let headers: HTTPHeaders
    }

    private struct State {
        var repos: [String: Repo] = [:]
        var faults: [String: [Fault]] = [:]
        var requests: [Request] = []
        var moved: [String: String] = [:]
        var pageSize = 1000
        var weakTags = false
        var tag: String?
        var ports = (hub: 0, storage: 0)
        var scheme = "http"
    }

    private let state = Mutex(State())
    private let channels = Mutex<[any Channel]>([])

    static func run<Result>(_ repos: Repo..., tls: NIOSSLContext? = nil, body: (TestHub) async throws -> Result) async throws -> Result {
        let hub = TestHub()
        for repo in repos { hub.state.withLock { $0.repos[repo.id] = repo } }
        let main = try await hub.listen(isStorage: false, tls), storage = try await hub.listen(isStorage: true, nil)
        hub.state.withLock { ($0.ports, $0.scheme) = ((main, storage), tls == nil ? "http" : "https") }
        do {
            let result = try await body(hub)
            await hub.stop()
            return result
        } catch {
            await hub.stop()
            throw error
        }
    }

    var endpoint: String { state.withLock { "\($0.scheme)://127.0.0.1:\($0.ports.hub)" } }
    var requests: [Request] { state.withLock { $0.requests } }
    func bodies(_ file: String) -> [Request] {
        requests.filter { $0.method == "GET" && $0.target.contains("/\(file)") && ($0.isStorage || $0.target.contains("/resolve/")) }
    }
    func update(_ id: String, _ change: (inout Repo) -> Void) { state.withLock { change(&$0.repos[id]!) } }
    func misbehave(_ file: String, _ faults: Fault...) { state.withLock { $0.faults[file] = faults } }
    func page(by size: Int) { state.withLock { $0.pageSize = size } }
    func useWeakTags() { state.withLock { $0.weakTags = true } }
    /// Every file claims this etag.
    func claim(tag: String?) { state.withLock { $0.tag = tag } }
    func move(_ old: String, to new: String) { state.withLock { $0.moved[old] = new } }
    func forget() { state.withLock { $0.requests = [] } }

    func stop() async {
        for channel in channels.withLock({ $0 }) { try? await channel.close() }
    }

    private func listen(isStorage: Bool, _ tls: NIOSSLContext?) async throws -> Int {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(hub: self, isStorage: isStorage))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        channels.withLock { $0.append(channel) }
        return channel.localAddress?.port ?? 0
    }

    // MARK: - Answers

    struct Answer: Sendable {
        var status = 200
        var headers: [(String, String)] = []
        var body: [UInt8] = []
        var fault: Fault?
    }

    fileprivate func answer(_ request: Request) -> Answer {
        state.withLock { state in
            state.requests.append(request)
            let parts = request.target.split(separator: "?", maxSplits: 1)
            let path = parts[0].split(separator: "/").map { String($0).replacing("%2F", with: "/") }
            let query = parts.count > 1 ? String(parts[1]) : ""
            if request.isStorage { return Self.stored(path, request, &state) }
            if path.count >= 4, path[0] == "api", path[1] == "models" {
                return Self.api(path, query, request, state, endpointOf: state.ports.hub)
            }
            if path.count >= 5, path[2] == "resolve" { return Self.resolve(path, request, &state) }
            return Answer(status: 404)
        }
    }

    private static func refusal(_ repo: Repo?, _ request: Request) -> Answer? {
        let given = request.headers.first(name: "Authorization")
        guard let repo else {
            return given == nil ? Answer(status: 401, headers: [("X-Error-Message", "Invalid username or password.")])
                : Answer(status: 404, headers: [("X-Error-Code", "RepoNotFound"), ("X-Error-Message", "Repository not found")])
        }
        guard let token = repo.token, given != "Bearer \(token)" else { return nil }
        if given == "Bearer hf_expired" {
            return Answer(status: 401, headers: [("X-Error-Message", "Invalid credentials in Authorization header")])
        }
        if repo.isGated {
            return Answer(
                status: given == nil ? 401 : 403,
                headers: [("X-Error-Code", "GatedRepo"), ("X-Error-Message", "Access to model \(repo.id) is restricted.")])
        }
        return Answer(status: given == nil ? 401 : 404, headers: given == nil ? [] : [("X-Error-Code", "RepoNotFound")])
    }

    private static func api(_ path: [String], _ query: String, _ request: Request, _ state: State, endpointOf port: Int) -> Answer {
        let id = "\(path[2])/\(path[3])"
        let repo = state.repos[state.moved[id] ?? id]
        if let refusal = refusal(repo, request) { return refusal }
        guard let repo else { return Answer(status: 500) }
        let kind = path.count > 4 ? path[4] : "revision", revision = path.count > 5 ? path[5] : "main"
        guard repo.branches.contains(revision) || revision == repo.commit else {
            return Answer(status: 404, headers: [("X-Error-Code", "RevisionNotFound"), ("X-Error-Message", "Invalid rev id: \(revision)")])
        }
        var headers = [("Content-Type", "application/json; charset=utf-8")]
        var writer = JSONWriter()
        let names = repo.files.keys.sorted()
        if kind == "tree" {
            let start = query.split(separator: "&").first { $0.hasPrefix("cursor=") }.flatMap { Int($0.dropFirst(7)) } ?? 0
            let end = min(names.count, start + state.pageSize)
            if end < names.count {
                headers.append(("Link", "<\(state.scheme)://127.0.0.1:\(port)/api/models/\(id)/tree/\(revision)?recursive=true&cursor=\(end)>; rel=\"next\""))
            }
            writer.value(.array(names[start..<end].map { name in
                let bytes = repo.files[name]!
                var entry = JSONObject([
                    ("type", "file"), ("oid", .string(gitBlob(bytes))), ("size", .int(bytes.count)), ("path", .string(name)),
                ])
                if repo.large.contains(name) {
                    entry["lfs"] = .object(JSONObject([
                        ("oid", .string(sha256(bytes))), ("size", .int(bytes.count)), ("pointerSize", .int(134)),
                    ]))
                }
                return .object(entry)
            } + [.object(JSONObject([("type", "directory"), ("oid", "0"), ("size", .int(0)), ("path", "folder")]))]))
        } else {
            writer.value(.object(JSONObject([
                ("_id", "1"), ("id", .string(repo.id)), ("modelId", .string(repo.id)), ("sha", .string(repo.commit)), ("private", .bool(false)),
                ("gated", .bool(false)), ("tags", .array([])), ("downloads", .int(0)), ("likes", .int(0)),
                ("siblings", .array(names.map { .object(JSONObject([("rfilename", .string($0))])) })),
            ])))
        }
        return Answer(headers: headers, body: writer.bytes)
    }

    private static func resolve(_ path: [String], _ request: Request, _ state: inout State) -> Answer {
        let id = "\(path[0])/\(path[1])", file = path[4...].joined(separator: "/")
        if let new = state.moved[id] {
            return Answer(status: 307, headers: [("Location", "/\(new)/resolve/\(path[3])/\(file)")])
        }
        let repo = state.repos[id]
        if let refusal = refusal(repo, request) { return refusal }
        guard let repo, let bytes = repo.files[file] else {
            return Answer(status: 404, headers: [("X-Error-Code", "EntryNotFound"), ("X-Error-Message", "Entry not found")])
        }
        let commit = ("X-Repo-Commit", repo.commit)
        if repo.large.contains(file) {
            return Answer(status: 302, headers: [
                commit, ("X-Linked-Etag", "\"\(sha256(bytes))\""), ("X-Linked-Size", "\(bytes.count)"), ("ETag", "\"pointer\""),
                ("Location", "http://127.0.0.1:\(state.ports.storage)/store/\(id)/\(file)?Signature=SIGNED"),
            ])
        }
        let tag = "\"\(state.tag ?? gitBlob(bytes))\""
        return content(bytes, file, request, [commit, ("ETag", state.weakTags ? "W/" + tag : tag)], &state)
    }

    private static func stored(_ path: [String], _ request: Request, _ state: inout State) -> Answer {
        let file = path.dropFirst(3).joined(separator: "/")
        guard path.count > 3, let bytes = state.repos["\(path[1])/\(path[2])"]?.files[file] else { return Answer(status: 404) }
        return content(bytes, file, request, [("ETag", "\"storage-knows-better\"")], &state)
    }

    private static func content(
        _ bytes: [UInt8], _ file: String, _ request: Request, _ headers: [(String, String)], _ state: inout State
    ) -> Answer {
        var fault: Fault?
        if request.method == "GET", state.faults[file]?.isEmpty == false { fault = state.faults[file]!.removeFirst() }
        var answer = Answer(headers: headers + [("Accept-Ranges", "bytes")], body: bytes, fault: fault)
        if case .status(let code, let extra)? = fault { return Answer(status: code, headers: extra) }
        if case .corrupt? = fault { answer.body[bytes.count / 2] ^= 0x20 }
        if case .tooLong? = fault { answer.body.append(0) }
        if case .ignoreRange? = fault { return answer }
        if let range = request.headers.first(name: "Range"), let start = Int(range.dropFirst(6).prefix { $0 != "-" }) {
            guard start < bytes.count else {
                return Answer(status: 416, headers: [("Content-Range", "bytes */\(bytes.count)")])
            }
            answer.status = 206
            answer.headers.append(("Content-Range", "bytes \(start)-\(bytes.count - 1)/\(bytes.count)"))
            answer.body = Array(answer.body[start...])
        }
        return answer
    }

    static func sha256(_ bytes: [UInt8]) -> String { hex(SHA256.hash(data: bytes)) }
    static func gitBlob(_ bytes: [UInt8]) -> String { hex(Insecure.SHA1.hash(data: Array("blob \(bytes.count)\0".utf8) + bytes)) }

    private static func hex(_ digest: some Sequence<UInt8>) -> String {
        digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

private final class Handler: ChannelInboundHandler, Sendable {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    let hub: TestHub
    let isStorage: Bool
    private let head = Mutex<HTTPRequestHead?>(nil)

    init(hub: TestHub, isStorage: Bool) { (self.hub, self.isStorage) = (hub, isStorage) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let received): head.withLock { $0 = received }
        case .body: break
        case .end:
            guard let request = head.withLock({ $0 }) else { return }
            let answer = hub.answer(.init(
                isStorage: isStorage, method: request.method.rawValue, target: request.uri, headers: request.headers))
            send(answer, isHead: request.method == .HEAD, context.channel)
        }
    }

    private func send(_ answer: TestHub.Answer, isHead: Bool, _ channel: any Channel) {
        var headers = HTTPHeaders(answer.headers)
        headers.replaceOrAdd(name: "Content-Length", value: "\(answer.body.count)")
        let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: answer.status), headers: headers)
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
        if isHead { return channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil) }
        switch answer.fault {
        case .breakAfter(let count)?:
            // A moment later, so that the client has read them: what it has not read when the line breaks is lost.
            _ = body(answer.body.prefix(count), channel)
            channel.eventLoop.scheduleTask(in: .milliseconds(60)) { channel.close(promise: nil) }
        case .stallAfter(let count)?:
            _ = body(answer.body.prefix(count), channel)
        case .slow(let size)?:
            pieces(answer.body[...], size, channel)
        default:
            _ = body(answer.body[...], channel)
            channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
        }
    }

    private func body(_ bytes: ArraySlice<UInt8>, _ channel: any Channel) -> EventLoopFuture<Void> {
        channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: bytes))))
    }

    private func pieces(_ rest: ArraySlice<UInt8>, _ size: Int, _ channel: any Channel) {
        guard !rest.isEmpty, channel.isActive else { return channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil) }
        _ = body(rest.prefix(size), channel)
        channel.eventLoop.scheduleTask(in: .milliseconds(5)) { self.pieces(rest.dropFirst(size), size, channel) }
    }
}
