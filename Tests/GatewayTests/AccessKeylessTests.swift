import Gateway
import JSON
import Jobs
import NIOHTTP1
import Testing

/// Who may do what without a key.
@Suite struct AccessKeylessTests {
    @Test(arguments: ["localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:8080", "127.9.8.7:1", "[::1]", "[::1]:8080", "[0:0:0:0:0:0:0:1]:1"])
    func loopbackNames(_ text: String) {
        #expect(LoopbackName.matches(authority: text))
        #expect(LoopbackName.matches(origin: "http://\(text)") && LoopbackName.matches(origin: "https://\(text)"))
    }

    @Test(arguments: [
        "", "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "127.evil.example", "127.1", "0.0.0.0:8080", "10.0.0.1", "[::2]:8080",
        "[127.0.0.1]:80", "[localhost]", "[::1", "::1", "[::1]evil.example", "localhost:", "localhost:x", "localhost:80:80", "localhost@evil.example", "evil@localhost",
        "localhost/", "[::ffff:127.0.0.1]", "localhost.",
    ])
    func otherNames(_ text: String) {
        #expect(!LoopbackName.matches(authority: text))
        #expect(!LoopbackName.matches(origin: "http://\(text)"))
    }

    @Test(arguments: ["null", "localhost", "file://localhost", "chrome-extension://localhost", "http:localhost", "http://localhost http://evil.example"])
    func otherOrigins(_ text: String) { #expect(!LoopbackName.matches(origin: text)) }

    @Test func rolesCloseWithTheirKeys() {
        func open(_ roles: AccessKey.Role..., isLoopback: Bool = true) -> Set<AccessKey.Role> {
            AccessKey.Role.open(
                roles.map { AccessKey(name: "k", role: $0, hash: [], endpoints: nil, createdAt: Timestamp(milliseconds: 0)) }, isLoopback: isLoopback)
        }
        #expect(open() == [.client, .worker, .admin])
        #expect(open(.admin) == [.client, .worker])
        #expect(open(.worker) == [.client, .admin])
        #expect(open(.client).isEmpty && open(.client, .admin).isEmpty)
        #expect(open(isLoopback: false).isEmpty && open(.admin, isLoopback: false).isEmpty)
    }

    private static let endpoints: JSONValue = ["e": ["provider": "none"]]
    private static let calls: [(HTTPMethod, String, String?)] = [
        (.POST, "/v2/e/run", #"{"input": {}}"#), (.GET, "/v2/e/job-take/w1", nil), (.POST, "/v2/e/openai/v1/chat/completions", "{}"),
        (.PUT, "/admin/api/endpoints/x", #"{"provider": {"process": {"command": ["true"]}}}"#), (.POST, "/admin/api/keys", #"{"name": "x", "role": "admin"}"#), (.GET, "/metrics", nil),
    ]

    @Test(arguments: [
        [("Host", "evil.example")], [("Host", "evil.example:8080"), ("Origin", "http://evil.example:8080")], [("Origin", "http://evil.example")], [("Origin", "null")],
        [("Sec-Fetch-Site", "cross-site")],
    ])
    func webPagesElsewhereMayNothing(_ headers: [(String, String)]) async throws {
        try await LiveGateway.with(["endpoints": Self.endpoints]) { gateway async throws in
            for (method, path, body) in Self.calls {
                let answer = try await gateway.call(method, path, body, headers: headers)
                #expect(answer.status == 403 && answer.text.contains("localhost"), "\(path): \(answer)")
            }
            // Nothing came of it.
            #expect(try await gateway.call(.GET, "/admin/api/keys").json["keys"]?.array?.isEmpty == true)
            #expect(try await gateway.call(.GET, "/admin/api/endpoints").json["endpoints"]?.array?.count == 1)
            #expect(try await gateway.call(.GET, "/v2/e/health").json["jobs"]?["inQueue"]?.int == 0)
        }
    }

    @Test(arguments: [[], [("Host", "localhost:8080")], [("Host", "[::1]:1"), ("Origin", "http://localhost:3000"), ("Sec-Fetch-Site", "same-site")]])
    func thisMachineMayAll(_ headers: [(String, String)]) async throws {
        try await LiveGateway.with(["endpoints": Self.endpoints]) { gateway async throws in
            #expect(try await gateway.call(.POST, "/v2/e/run", #"{"input": {}}"#, headers: headers).status == 200)
            #expect(try await gateway.call(.GET, "/v2/e/job-take/w1", headers: headers).status == 200)
            #expect(try await gateway.call(.PUT, "/admin/api/endpoints/x", #"{"provider": "none"}"#, headers: headers).status == 200)
            #expect(try await gateway.call(.GET, "/metrics", headers: headers).status == 200)
        }
    }

    @Test func aKeyIsEnoughUnderAnyName() async throws {
        try await LiveGateway.with(["keys": LiveGateway.keys, "endpoints": Self.endpoints]) { gateway async throws in
            let name = [("Host", "llm.example.org"), ("Origin", "https://app.example.org")]
            #expect(try await gateway.call(.POST, "/v2/e/run", #"{"input": {}}"#, key: LiveGateway.clientKey, headers: name).status == 200)
            #expect(try await gateway.call(.GET, "/admin/api/keys", key: LiveGateway.adminKey, headers: name).status == 200)
            #expect(try await gateway.call(.POST, "/v2/e/run", #"{"input": {}}"#).status == 401)
        }
    }

    @Test func anAdminKeyKeepsOthersFromAdministering() async throws {
        try await LiveGateway.with(["keys": [["name": "ops", "role": "admin", "key": .string(LiveGateway.adminKey)]], "endpoints": Self.endpoints]) { gateway async throws in
            for (method, path, body) in Self.calls where path.hasPrefix("/admin") { #expect(try await gateway.call(method, path, body).status == 401, "\(path)") }
            #expect(try await gateway.call(.POST, "/v2/e/run", #"{"input": {}}"#).status == 200)
            #expect(try await gateway.call(.GET, "/metrics").status == 200)
            #expect(try await gateway.admin(.GET, "keys").status == 200)
        }
    }

    @Test func aStoredAdminKeyDoesSoToo() async throws {
        try await LiveGateway.with(["endpoints": Self.endpoints]) { gateway async throws in
            let made = try await gateway.call(.POST, "/admin/api/keys", #"{"name": "ops", "role": "admin"}"#)
            let key = try #require(made.json["key"]?.string)
            #expect(try await gateway.call(.GET, "/admin/api/keys").status == 401)
            #expect(try await gateway.call(.GET, "/admin/api/keys", key: key).status == 200)
            #expect(try await gateway.call(.POST, "/v2/e/run", #"{"input": {}}"#).status == 200)
        }
    }
}
