import Engine
import JSON
import OpenAI
import Sampling
import Server
import StandInModel
import Synchronization
import Testing

/// Each documented refusal once, over HTTP.
@Suite struct ErrorTests {
    static let idle = FakeGenerator { _ in .tokens(FakeText.ids("Hello"), .length) }

    @Test func requestErrors() async throws {
        let deep = String(repeating: "[", count: 200_000)
        let cases: [(path: String, body: String, status: Int, type: String, param: String?, mentions: String)] = [
            ("/v1/completions", "{\"prompt\":", 400, "Bad Request", "body", "not valid JSON"),
            ("/v1/completions", "{\"prompt\":\(deep)", 400, "Bad Request", "body", "deep"),
            ("/v1/completions", "[1]", 400, "Bad Request", "body", "object"),
            ("/v1/completions", "{}", 400, "Bad Request", "body.prompt", "required"),
            ("/v1/completions", "{\"prompt\":{}}", 400, "Bad Request", "body.prompt", "object"),
            ("/v1/completions", "{\"prompt\":[]}", 400, "BadRequestError", "prompt", "empty"),
            ("/v1/completions", "{\"prompt\":[1,2.5]}", 400, "Bad Request", "body.prompt.1", "integer"),
            ("/v1/completions", "{\"prompt\":[-1]}", 400, "BadRequestError", "body.prompt.0", "-1"),
            ("/v1/completions", "{\"prompt\":\"x\",\"max_tokens\":\"many\"}", 400, "Bad Request", "body.max_tokens", "integer"),
            ("/v1/completions", "{\"prompt\":\"x\",\"max_tokens\":-5}", 400, "BadRequestError", "max_tokens", "-5"),
            ("/v1/completions", "{\"prompt\":\"x\",\"max_tokens\":1001}", 400, "BadRequestError", "max_tokens", "1000"),
            ("/v1/completions", "{\"prompt\":\"x\",\"temperature\":-1}", 400, "BadRequestError", "temperature", "-1"),
            ("/v1/completions", "{\"prompt\":\"x\",\"n\":20000}", 400, "BadRequestError", "n", "20000"),
            ("/v1/completions", "{\"prompt\":\"x\",\"n\":0}", 400, "BadRequestError", "n", "n"),
            ("/v1/completions", "{\"prompt\":\"x\",\"logprobs\":21}", 400, "BadRequestError", "logprobs", "20"),
            ("/v1/completions", "{\"prompt\":\"x\",\"stop\":[\"\"]}", 400, "BadRequestError", "stop", "empty"),
            ("/v1/completions", "{\"prompt\":\"x\",\"stop\":[1]}", 400, "Bad Request", "body.stop.0", "string"),
            ("/v1/completions", "{\"prompt\":\"x\",\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}", 400, "BadRequestError", "stop", "4"),
            ("/v1/completions", "{\"prompt\":\"x\",\"suffix\":\"y\"}", 400, "BadRequestError", "suffix", "suffix"),
            ("/v1/completions", "{\"prompt\":\"x\",\"best_of\":3}", 400, "BadRequestError", "best_of", "best_of"),
            ("/v1/completions", "{\"prompt\":\"x\",\"logit_bias\":{\"moon\":1}}", 400, "BadRequestError", "logit_bias", "moon"),
            ("/v1/completions", "{\"prompt\":\"x\",\"stream_options\":{}}", 400, "BadRequestError", "stream_options", "stream"),
            ("/v1/completions", "{\"prompt\":\"x\",\"guided_json\":{}}", 400, "BadRequestError", "guided_json", "not supported yet"),
            ("/v1/completions", "{\"prompt\":\"x\",\"cache_salt\":\"a/b\"}", 400, "BadRequestError", "cache_salt", "cache_salt"),
            ("/v1/completions", "{\"prompt\":\"x\",\"model\":\"nope\"}", 404, "NotFoundError", "model", "nope"),
            ("/v1/completions", "{\"prompt\":\"\(String(repeating: "a", count: 1200))\"}", 400, "BadRequestError", "input_tokens", "1000"),
            ("/v1/completions", "{\"prompt\":\"\(String(repeating: "a", count: 8000))\"}", 400, "BadRequestError", "input_text", "8000"),
            ("/v1/chat/completions", "{}", 400, "Bad Request", "body.messages", "required"),
            ("/v1/chat/completions", "{\"messages\":\"hi\"}", 400, "Bad Request", "body.messages", "array"),
            ("/v1/chat/completions", "{\"messages\":[]}", 400, "BadRequestError", "messages", "empty"),
            ("/v1/chat/completions", "{\"messages\":[{\"role\":\"wizard\",\"content\":\"x\"}]}", 400, "Bad Request", "body.messages.0.role", "wizard"),
            ("/v1/chat/completions", "{\"messages\":[{\"content\":\"x\"}]}", 400, "Bad Request", "body.messages.0.role", "required"),
            ("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":5}]}", 400, "Bad Request", "body.messages.0.content", "integer"),
            (
                "/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]}", 400,
                "BadRequestError", "messages", "image_url"
            ),
            ("/v1/chat/completions", Self.user(",\"tools\":[]"), 400, "BadRequestError", "tools", "empty"),
            ("/v1/chat/completions", Self.user(",\"tool_choice\":\"required\""), 400, "BadRequestError", "tool_choice", "not supported yet"),
            ("/v1/chat/completions", Self.user(",\"top_logprobs\":2"), 400, "BadRequestError", "top_logprobs", "logprobs"),
            (
                "/v1/chat/completions", Self.user(",\"response_format\":{\"type\":\"json_object\"}"), 400, "BadRequestError", "response_format",
                "not supported yet"
            ),
            ("/v1/chat/completions", Self.user(",\"chat_template\":\"x\""), 400, "BadRequestError", "chat_template", "trust"),
            (
                "/v1/chat/completions", Self.user(",\"continue_final_message\":true,\"add_generation_prompt\":true"), 400, "BadRequestError",
                "continue_final_message", "exclude"
            ),
            ("/tokenize", "{}", 400, "Bad Request", "body.prompt", "required"),
            ("/detokenize", "{\"tokens\":[99999]}", 400, "BadRequestError", "tokens", "vocabulary"),
        ]
        try await LoopbackServer.run(Self.idle) { server in
            for item in cases {
                let reply = try await server.post(item.path, item.body)
                let note = "\(item.path) \(item.body.clipped(to: 120)) → \(reply.body)"
                #expect(reply.status == item.status, "\(note)")
                #expect(reply.error["type"]?.string == item.type, "\(note)")
                #expect(reply.error["param"]?.string == item.param, "\(note)")
                #expect(reply.error["code"]?.int == item.status, "\(note)")
                #expect(reply.error["message"]?.string?.contains(item.mentions) == true, "\(note)")
                #expect(reply.headers["content-type"] == "application/json")
            }
        }
    }

    static func user(_ more: String) -> String { "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]\(more)}" }

    @Test func pathsMethodsAndTypes() async throws {
        try await LoopbackServer.run(Self.idle) { server in
            let unknown = try await server.get("/nothing")
            #expect(unknown.status == 404)
            #expect(unknown.error["code"] == 404)
            let method = try await server.get("/v1/completions")
            #expect(method.status == 405)
            #expect(method.error["message"]?.string?.contains("POST") == true)
            let type = try await server.send("POST", "/v1/completions", headers: ["Content-Type": "text/plain"], body: Array("{}".utf8))
            #expect(type.status == 400)
            #expect(type.error["message"]?.string?.contains("application/json") == true)
            let text = try await server.send(
                "POST", "/v1/completions", headers: ["Content-Type": "application/json"], body: Array("{\"prompt\":\"".utf8) + [0xFF, 0xFE] + Array("\"}".utf8))
            #expect(text.status == 400)
            #expect(text.error["message"]?.string?.contains("UTF-8") == true)
            // Unknown fields are taken.
            #expect(try await server.complete("{\"prompt\":\"x\",\"no_such_field\":1}").status == 200)
            // A parameter behind the media type is fine.
            let charset = try await server.post("/v1/completions", "{\"prompt\":\"x\"}", headers: ["Content-Type": "application/json; charset=utf-8"])
            #expect(charset.status == 200)
        }
    }

    @Test func bodyLimit() async throws {
        var options = ServerOptions()
        options.maxBodyBytes = 10_000
        try await LoopbackServer.run(Self.idle, options: options) { server in
            let declared = try await server.complete("{\"prompt\":\"\(String(repeating: "a", count: 20_000))\"}")
            #expect(declared.status == 413)
            #expect(declared.error["message"]?.string?.contains("10000") == true)
            let connection = try await Connection.open(server.port)
            defer { connection.close() }
            let piece = Array("1000\r\n".utf8) + Array(repeating: UInt8(ascii: " "), count: 4096) + Array("\r\n".utf8)
            try await connection.send(
                Array("POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
                    + piece + piece + piece + piece + Array("0\r\n\r\n".utf8))
            #expect(try await connection.reply().status == 413)
        }
    }

    @Test func refusalsOfTheEngine() async throws {
        let cases: [(EngineError, Int, Bool)] = [
            (.queueFull(waiting: 9, limit: 9), 503, true),
            (.tokenQueueFull(waitingTokens: 9, limit: 9), 503, true),
            (.notAccepting, 503, true),
            (.promptTooLong(tokens: 7, maxModelLength: 6), 400, false),
            (.promptExceedsCache(tokens: 7, capacity: 6), 400, false),
            (.tokenOutOfRange(token: 9, position: 1, vocabularySize: 8), 400, false),
        ]
        for (error, status, retry) in cases {
            try await LoopbackServer.run(FakeGenerator { _ in .refuse(error) }) { server in
                let reply = try await server.complete("{\"prompt\":\"x\",\"stream\":true}")
                #expect(reply.status == status)
                #expect(reply.error["code"]?.int == status)
                #expect((reply.headers["retry-after"] != nil) == retry)
            }
        }
        var options = ServerOptions()
        options.answersFullQueueWith429 = true
        try await LoopbackServer.run(FakeGenerator { _ in .refuse(.queueFull(waiting: 1, limit: 1)) }, options: options) { server in
            let reply = try await server.complete("{\"prompt\":\"x\"}")
            #expect(reply.status == 429)
        }
    }

    @Test func failureWhileGenerating() async throws {
        let generator = FakeGenerator { _ in .fail(after: FakeText.ids("Hello"), .stepFailed(cause: "no memory")) }
        try await LoopbackServer.run(generator) { server in
            let whole = try await server.complete("{\"prompt\":\"x\"}")
            #expect(whole.status == 500)
            #expect(whole.error["type"] == "InternalServerError")
            let stream = try await server.complete("{\"prompt\":\"x\",\"stream\":true}")
            #expect(stream.status == 200)
            #expect(stream.events.count == 3)
            #expect(stream.chunks.last?["error"]?["code"] == 500)
            #expect(stream.events.last == "[DONE]")
        }
    }
}
