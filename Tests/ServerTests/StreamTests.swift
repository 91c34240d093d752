import Engine
import JSON
import OpenAI
import Sampling
import Server
import StandInModel
import Synchronization
import Testing

/// Chunk sequences, byte for byte but for ids and times.
@Suite struct StreamTests {
    static let hello = FakeGenerator { _ in .tokens(FakeText.ids("Hello", " world", "!"), .length) }

    /// Ids and times replaced.
    static func plain(_ reply: LoopbackServer.Reply) -> String {
        var text = reply.body
        if let id = (reply.chunks.first ?? reply.json)["id"]?.string { text = text.replacing(id, with: "ID") }
        if let created = (reply.chunks.first ?? reply.json)["created"]?.int { text = text.replacing("\"created\":\(created)", with: "\"created\":0") }
        return text
    }

    @Test func completionStream() async throws {
        try await LoopbackServer.run(Self.hello) { server in
            let reply = try await server.complete("{\"prompt\":\"abc\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}")
            #expect(reply.status == 200)
            #expect(reply.headers["content-type"] == "text/event-stream; charset=utf-8")
            let head = "data: {\"id\":\"ID\",\"object\":\"text_completion\",\"created\":0,\"model\":\"fake\",\"choices\":["
            let mark = ",\"system_fingerprint\":\"needletail-\(ServerVersion.text)\"}\n\n"
            #expect(
                Self.plain(reply) == head
                    + "{\"index\":0,\"text\":\"Hello world!\",\"logprobs\":null,\"finish_reason\":\"length\",\"stop_reason\":null}]" + mark + head
                    + "],\"usage\":{\"prompt_tokens\":4,\"total_tokens\":7,\"completion_tokens\":3,\"prompt_tokens_details\":null}" + mark
                    + "data: [DONE]\n\n")
        }
    }

    @Test func chatStream() async throws {
        let generator = FakeGenerator { _ in .tokens(FakeText.ids("Hello", " \"q\"", "\n") + [FakeText.eos], .stop) }
        try await LoopbackServer.run(generator) { server in
            let reply = try await server.chat(
                "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true,\"n\":2,\"stream_options\":{\"continuous_usage_stats\":true,\"include_usage\":true}}")
            let head = "data: {\"id\":\"ID\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"fake\",\"choices\":["
            let mark = ",\"system_fingerprint\":\"needletail-\(ServerVersion.text)\"}\n\n"
            func usage(_ completion: Int) -> String {
                "\"usage\":{\"prompt_tokens\":19,\"total_tokens\":\(19 + completion),\"completion_tokens\":\(completion),\"prompt_tokens_details\":null}"
            }
            var expected = ""
            for index in 0...1 {
                expected += head + "{\"index\":\(index),\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}],\(usage(0))}\n\n"
            }
            for index in 0...1 {
                expected += head
                    + "{\"index\":\(index),\"delta\":{\"content\":\"HelloHello\\n\"},\"logprobs\":null,\"finish_reason\":\"stop\",\"stop_reason\":null}],"
                    + usage(4) + mark
            }
            expected += head + "],\(usage(8))\(mark)data: [DONE]\n\n"
            #expect(Self.plain(reply) == expected)
        }
    }

    @Test func wholeReplies() async throws {
        try await LoopbackServer.run(Self.hello) { server in
            let completion = try await server.complete("{\"prompt\":\"abc\",\"request_id\":\"mine\",\"return_token_ids\":true}")
            #expect(
                Self.plain(completion).replacing("ID", with: "cmpl-mine")
                    == "{\"id\":\"cmpl-mine\",\"object\":\"text_completion\",\"created\":0,\"model\":\"fake\",\"choices\":[{\"index\":0,\"text\":\"Hello world!\","
                    + "\"logprobs\":null,\"finish_reason\":\"length\",\"stop_reason\":null,\"token_ids\":[300,301,302],\"prompt_logprobs\":null,"
                    + "\"prompt_token_ids\":[257,97,98,99]}],\"service_tier\":null,\"system_fingerprint\":\"needletail-\(ServerVersion.text)\","
                    + "\"usage\":{\"prompt_tokens\":4,\"total_tokens\":7,\"completion_tokens\":3,\"prompt_tokens_details\":null}}")
            let chat = try await server.chat("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"model\":\"alias/fake\"}")
            #expect(chat.json["object"] == "chat.completion")
            #expect(chat.json["id"]?.string?.hasPrefix("chatcmpl-") == true)
            #expect(chat.json["model"] == "fake")
            let choice = chat.json["choices"]?.array?.first
            #expect(choice?["message"]?["content"] == "Hello world!")
            #expect(choice?["message"]?["role"] == "assistant")
            #expect(choice?["message"]?["tool_calls"] == nil)
        }
    }

    @Test func severalPromptsAndChoices() async throws {
        let generator = FakeGenerator { request in .tokens([request.promptTokenIDs[0]], .length) }
        try await LoopbackServer.run(generator) { server in
            for stream in [false, true] {
                let reply = try await server.complete("{\"prompt\":[[65],[66]],\"n\":2,\"stream\":\(stream)}")
                let choices = stream ? reply.chunks.flatMap { $0["choices"]?.array ?? [] } : reply.json["choices"]?.array ?? []
                let texts = choices.sorted { ($0["index"]?.int ?? 0) < ($1["index"]?.int ?? 0) }.map { $0["text"]?.string }
                #expect(texts == ["A", "A", "B", "B"])
            }
        }
    }

    @Test func stopTokensAreHidden() async throws {
        let generator = FakeGenerator { request in
            .tokens(FakeText.ids("Hello") + [Int32(33)], .stop, stop: request.sampling.stopTokenIDs.first)
        }
        try await LoopbackServer.run(generator) { server in
            let hidden = try await server.complete("{\"prompt\":\"x\",\"stop_token_ids\":[33]}").json
            #expect(hidden["choices"]?.array?.first?["text"] == "Hello")
            #expect(hidden["choices"]?.array?.first?["stop_reason"] == 33)
            #expect(hidden["usage"]?["completion_tokens"] == 2)
            let shown = try await server.complete("{\"prompt\":\"x\",\"stop_token_ids\":[33],\"include_stop_str_in_output\":true}").json
            #expect(shown["choices"]?.array?.first?["text"] == "Hello!")
        }
    }

    @Test func stopStringEndsTheRequest() async throws {
        let generator = FakeGenerator { _ in .hang(after: FakeText.ids("Hello", " one", " <stop>", " two")) }
        try await LoopbackServer.run(generator) { server in
            for stream in [false, true] {
                let reply = try await server.complete("{\"prompt\":\"x\",\"stop\":[\"e <st\"],\"stream\":\(stream)}")
                let choice = stream ? reply.chunks.last?["choices"]?.array?.first : reply.json["choices"]?.array?.first
                #expect(stream ? reply.text == "Hello on" : choice?["text"] == "Hello on")
                #expect(choice?["finish_reason"] == "stop")
                #expect(choice?["stop_reason"] == "e <st")
                if !stream { #expect(reply.json["usage"]?["completion_tokens"] == 3) }
            }
            #expect(generator.log.withLock { $0.cancelled } == 2)
        }
    }

    @Test func logprobs() async throws {
        let generator = FakeGenerator { _ in .tokens(FakeText.ids("Hello", "é", "!"), .length) }
        try await LoopbackServer.run(generator) { server in
            let completion = try await server.complete("{\"prompt\":\"ab\",\"logprobs\":3,\"echo\":true,\"max_tokens\":3}").json["choices"]?.array?.first
            let lists = completion?["logprobs"]
            #expect(completion?["text"] == "abHelloé!")
            #expect(lists?["tokens"] == ["<bos>", "a", "b", "Hello", "é", "!"])
            #expect(lists?["text_offset"] == [0, 0, 1, 2, 7, 8])
            #expect(lists?["token_logprobs"] == [nil, -0.5, -0.5, -0.5, -0.5, -0.5])
            #expect(lists?["top_logprobs"]?.array?.last == ["!": -0.5, "A": -0.25, "B": -9999.0])
            let ids = try await server.complete("{\"prompt\":\"ab\",\"logprobs\":0,\"return_tokens_as_token_ids\":true}").json["choices"]?.array?.first
            #expect(ids?["logprobs"]?["tokens"] == ["token_id:300", "token_id:306", "token_id:302"])
            #expect(ids?["logprobs"]?["top_logprobs"]?.array?.first == ["token_id:300": -0.5])
            let chat = try await server.chat(ErrorTests.user(",\"logprobs\":true,\"top_logprobs\":2,\"prompt_logprobs\":1")).json
            let content = chat["choices"]?.array?.first?["logprobs"]?["content"]?.array
            #expect(content?.count == 3)
            #expect(content?[1]["bytes"] == [195, 169])
            #expect(content?[1]["top_logprobs"]?.array?.map { $0["token"]?.string } == ["é", "A"])
            let prompt = chat["prompt_logprobs"]?.array
            #expect(prompt?.first == .null)
            #expect(prompt?[1]["117"]?["decoded_token"] == "u")
            #expect(prompt?[1]["65"]?["rank"] == 1)
            let score = try await server.complete("{\"prompt\":\"ab\",\"echo\":true,\"max_tokens\":0,\"logprobs\":1}")
            #expect(score.status == 200)
        }
    }

    @Test func streamInterval() async throws {
        try await LoopbackServer.run(Self.hello) { server in
            let pairs = try await server.complete("{\"prompt\":\"abc\",\"stream\":true,\"stream_interval\":2}")
            #expect(pairs.text == "Hello world!")
            let zero = try await server.complete("{\"prompt\":\"abc\",\"stream\":true,\"stream_interval\":0}")
            #expect(zero.status == 400)
        }
    }
}

/// `/v1/messages`: the same answers in Anthropic's words.
@Suite struct MessagesTests {
    static let request = "\"model\":\"fake\",\"max_tokens\":9,\"system\":\"be brief\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}]"

    @Test func wholeReply() async throws {
        try await LoopbackServer.run(StreamTests.hello) { server in
            let reply = try await server.post("/v1/messages", "{\(Self.request)}")
            #expect(reply.status == 200)
            #expect(reply.json["type"] == "message")
            #expect(reply.json["id"]?.string?.hasPrefix("msg_") == true)
            #expect(reply.json["content"] == [["type": "text", "text": "Hello world!"]])
            #expect(reply.json["stop_reason"] == "max_tokens")
            // <system>be brief<user>hi<assistant>
            #expect(reply.json["usage"] == ["input_tokens": 35, "output_tokens": 3])
        }
    }

    @Test func stream() async throws {
        let generator = FakeGenerator { _ in .tokens(FakeText.ids("Hello", " <stop>"), .length) }
        try await LoopbackServer.run(generator) { server in
            let reply = try await server.post("/v1/messages", "{\(Self.request),\"stream\":true,\"stop_sequences\":[\"<stop>\"]}")
            let events = reply.body.split(separator: "\n\n").map { $0.split(separator: "\n") }
            #expect(
                events.map { $0[0] } == [
                    "event: message_start", "event: content_block_start", "event: content_block_delta", "event: content_block_stop", "event: message_delta",
                    "event: message_stop",
                ])
            let data = try events.map { try JSONValue(parsing: String($0[1].dropFirst(6))) }
            #expect(data[0]["message"]?["usage"]?["input_tokens"] == 35)
            #expect(data[2]["delta"]?["text"] == "Hello ")
            #expect(data[4]["delta"] == ["stop_reason": "stop_sequence", "stop_sequence": "<stop>"])
            #expect(data[4]["usage"]?["output_tokens"] == 2)
        }
    }

    @Test func refusals() async throws {
        try await LoopbackServer.run(StreamTests.hello) { server in
            for (body, status, part) in [
                ("{\"messages\":[]}", 400, "max_tokens"), ("{\(Self.request),\"tools\":[{}]}", 400, "tools"),
                ("{\"model\":\"nope\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 404, "nope"),
                ("{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}", 400, "only blocks of type text"),
            ] {
                let reply = try await server.post("/v1/messages", body)
                #expect(reply.status == status)
                #expect(reply.json["type"] == "error")
                #expect(reply.json["error"]?["message"]?.string?.contains(part) == true, "\(reply.body)")
            }
        }
    }
}
