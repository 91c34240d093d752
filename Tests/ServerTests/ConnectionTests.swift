import Engine
import JSON
import OpenAI
import Sampling
import Server
import StandInModel
import Synchronization
import Testing

/// Clients that leave, servers that stop, keys, limits.
@Suite struct ConnectionTests {
    static func waitUntil(_ condition: @Sendable () -> Bool) async -> Bool {
        for _ in 0..<500 {
            if condition() { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    @Test(arguments: [true, false], [true, false])
    func disconnectCancels(stream: Bool, begun: Bool) async throws {
        let generator = FakeGenerator { _ in begun ? .hang(after: FakeText.ids("Hello")) : .hang(after: []) }
        try await LoopbackServer.run(generator) { server in
            let connection = try await Connection.open(server.port)
            try await connection.send(
                LoopbackServer.request(
                    "POST", "/v1/chat/completions", headers: ["Content-Type": "application/json"],
                    body: Array(ErrorTests.user(",\"stream\":\(stream)").utf8)))
            if stream, begun { try await connection.wait(for: "Hello") }
            #expect(await Self.waitUntil { generator.log.withLock { $0.requests.count } == 1 })
            #expect(generator.log.withLock { $0.cancelled } == 0)
            connection.close()
            #expect(await Self.waitUntil { generator.log.withLock { $0.cancelled } == 1 })
            let metrics = try await server.get("/metrics").body
            #expect(metrics.contains("needletail_client_disconnects_total{model_name=\"fake\",engine=\"0\"} 1.0"))
        }
    }

    @Test func keepsConnectionsAlive() async throws {
        try await LoopbackServer.run(StreamTests.hello) { server in
            let connection = try await Connection.open(server.port)
            defer { connection.close() }
            for stream in [true, false, true] {
                try await connection.send(
                    LoopbackServer.request(
                        "POST", "/v1/completions", headers: ["Content-Type": "application/json"],
                        body: Array("{\"prompt\":\"x\",\"stream\":\(stream)}".utf8)))
                #expect(try await connection.reply().status == 200)
            }
            // Answers before the body is read leave the connection usable too.
            try await connection.send(LoopbackServer.request("POST", "/nothing", headers: [:], body: Array(repeating: 32, count: 100_000)))
            #expect(try await connection.reply().status == 404)
            try await connection.send(LoopbackServer.request("GET", "/health", headers: [:], body: nil))
            #expect(try await connection.reply().status == 200)
        }
    }

    @Test func drainLetsRequestsFinish() async throws {
        let generator = FakeGenerator { _ in .hang(after: FakeText.ids("Hello")) }
        var options = ServerOptions()
        options.shutdownTimeoutSeconds = 1
        try await LoopbackServer.runStoppable(generator, options: options) { server, stop in
            let connection = try await Connection.open(server.port), idle = try await Connection.open(server.port)
            defer { connection.close() }
            try await connection.send(
                LoopbackServer.request(
                    "POST", "/v1/completions", headers: ["Content-Type": "application/json"], body: Array("{\"prompt\":\"x\",\"stream\":true}".utf8)))
            try await connection.wait(for: "Hello")
            stop()
            // Idle connections close at once; the running one gets its second, then its abort.
            #expect(await idle.rest().isEmpty)
            let rest = String(decoding: await connection.rest(), as: UTF8.self)
            #expect(rest.contains("\"finish_reason\":\"abort\""))
            #expect(rest.contains("data: [DONE]"))
            #expect(generator.log.withLock { $0.cancelled } == 1)
            await #expect(throws: (any Error).self) { _ = try await server.get("/health") }
        }
    }

    @Test func stopsWhenIdle() async throws {
        try await LoopbackServer.run(StreamTests.hello) { server in _ = try await server.get("/health") }
    }

    @Test func keys() async throws {
        var options = ServerOptions()
        options.apiKeys = ["secret", "other"]
        options.cors.allowedOrigins = ["https://a.example"]
        options.enableRequestIDHeaders = true
        try await LoopbackServer.run(StreamTests.hello, options: options) { server in
            for header in [nil, "Bearer wrong", "Bearer secretx", "Bearer secre", "Basic secret", "Bearer "] {
                let reply = try await server.get("/v1/models", headers: header.map { ["Authorization": $0] } ?? [:])
                #expect(reply.status == 401)
                #expect(reply.error["code"] == 401)
                #expect(!reply.body.contains("secret"))
            }
            #expect(try await server.get("/v1/nothing").status == 401)
            for key in ["secret", "other"] {
                #expect(try await server.get("/v1/models", headers: ["Authorization": "Bearer \(key)"]).status == 200)
            }
            for path in ["/health", "/ping", "/version", "/metrics", "/load"] { #expect(try await server.get(path).status == 200) }
            let preflight = try await server.send(
                "OPTIONS", "/v1/chat/completions",
                headers: [
                    "Origin": "https://a.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization",
                ], body: nil)
            #expect(preflight.status == 200)
            #expect(preflight.headers["access-control-allow-origin"] == "https://a.example")
            #expect(preflight.headers["access-control-allow-headers"] == "authorization")
            let foreign = try await server.get("/health", headers: ["Origin": "https://b.example", "X-Request-Id": "r-1"])
            #expect(foreign.headers["access-control-allow-origin"] == nil)
            #expect(foreign.headers["x-request-id"] == "r-1")
        }
    }

    @Test func operationalRoutes() async throws {
        let generator = FakeGenerator { _ in .tokens(FakeText.ids("Hello"), .length) }
        var options = ServerOptions()
        options.stuckAfterSeconds = 10
        try await LoopbackServer.run(generator, options: options) { server in
            let models = try await server.get("/v1/models").json
            #expect(models["object"] == "list")
            #expect(models["data"]?.array?.map { $0["id"]?.string } == ["fake", "alias/fake"])
            #expect(models["data"]?.array?.first?["max_model_len"] == 1000)
            #expect(try await server.get("/v1/models/alias/fake").json["id"] == "alias/fake")
            #expect(try await server.get("/v1/models/alias%2Ffake").json["id"] == "alias/fake")
            #expect(try await server.get("/v1/models/none").status == 404)
            #expect(try await server.get("/version").json["version"]?.string == ServerVersion.text)
            #expect(try await server.get("/load").json["server_load"] == 0)
            let tokens = try await server.post("/tokenize", "{\"prompt\":\"é\",\"return_token_strs\":true}").json
            #expect(tokens["count"] == 3)
            #expect(tokens["tokens"] == [257, 195, 169])
            #expect(tokens["max_model_len"] == 1000)
            let chat = try await server.post("/tokenize", ErrorTests.user("")).json
            #expect(chat["count"] == 19)
            #expect(try await server.post("/detokenize", "{\"tokens\":[72,105]}").json["prompt"] == "Hi")
            _ = try await server.complete("{\"prompt\":\"x\"}")
            let metrics = try await server.get("/metrics")
            #expect(metrics.headers["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
            for line in [
                "vllm:num_requests_running{model_name=\"fake\",engine=\"0\"} 2.0",
                "vllm:time_to_first_token_seconds_bucket{model_name=\"fake\",engine=\"0\",le=\"0.04\"} 1.0",
                "vllm:time_to_first_token_seconds_count{model_name=\"fake\",engine=\"0\"} 1.0",
                "http_requests_total{handler=\"/v1/completions\",method=\"POST\",status=\"2xx\"} 1.0",
            ] {
                #expect(metrics.body.contains(line + "\n"))
            }
            #expect(try await server.get("/health").status == 200)
            generator.setStuck(.seconds(11))
            let stuck = try await server.get("/health")
            #expect(stuck.status == 503)
            #expect(stuck.error["message"]?.string?.contains("11 s") == true)
        }
    }

    @Test func silentClientsAreClosed() async throws {
        var options = ServerOptions()
        options.idleTimeoutSeconds = 1
        options.bodyTimeoutSeconds = 1
        try await LoopbackServer.run(StreamTests.hello, options: options) { server in
            let silent = try await Connection.open(server.port), half = try await Connection.open(server.port)
            try await half.send(Array("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{".utf8))
            // They return once the server has closed.
            _ = await silent.rest()
            _ = await half.rest()
        }
    }

    @Test func continueIsAnswered() async throws {
        try await LoopbackServer.run(StreamTests.hello) { server in
            let connection = try await Connection.open(server.port)
            defer { connection.close() }
            try await connection.send(
                Array("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 14\r\n\r\n".utf8))
            try await connection.wait(for: "100 Continue")
            try await connection.send(Array("{\"prompt\":\"x\"}".utf8))
            #expect(try await connection.reply().status == 200)
        }
    }

    @Test func requestsCarryTheirSettings() async throws {
        let generator = FakeGenerator { _ in .tokens(FakeText.ids("Hello"), .length) }
        var defaults = LoopbackServer.defaults
        defaults.temperature = 0.6
        defaults.topK = 20
        defaults.maxNewTokens = 77
        try await LoopbackServer.run(generator, defaults: defaults) { server in
            _ = try await server.post("/v1/chat/completions", ErrorTests.user(",\"top_k\":5,\"priority\":3,\"seed\":-1,\"bad_words\":[\"a\"]"), headers: ["X-Vllm-Priority": "7"])
            _ = try await server.complete("{\"prompt\":\"abcdef\",\"truncate_prompt_tokens\":2,\"seed\":4,\"max_tokens\":null,\"cache_salt\":\"s\"}")
        }
        let requests = generator.log.withLock { $0.requests }
        #expect(requests[0].sampling.temperature == 0.6)
        #expect(requests[0].sampling.topK == 5)
        #expect(requests[0].sampling.maxTokens == 77)
        #expect(requests[0].sampling.seed == nil)
        #expect(requests[0].sampling.badWords == [[97], [32, 97]])
        #expect(requests[0].sampling.eosTokenIDs == [FakeText.eos])
        #expect(requests[0].priority == 7)
        #expect(requests[1].promptTokenIDs == [101, 102])
        #expect(requests[1].sampling.maxTokens == 16)
        #expect(requests[1].sampling.seed == 4)
        #expect(requests[1].cacheSalt == "s")
    }
}
