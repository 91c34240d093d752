import JSON
import OpenAI
import Sampling
import Testing

@Suite struct RequestTests {
    static func completion(_ body: String) throws(APIError) -> CompletionRequest { try CompletionRequest(body: Array(body.utf8)) }
    static func chat(_ body: String) throws(APIError) -> ChatRequest { try ChatRequest(body: Array(body.utf8)) }

    @Test func prompts() throws {
        #expect(try Self.completion("{\"prompt\":\"a\"}").prompts == [.text("a")])
        #expect(try Self.completion("{\"prompt\":[\"a\",\"b\"]}").prompts == [.text("a"), .text("b")])
        #expect(try Self.completion("{\"prompt\":[1,2.0]}").prompts == [.tokens([1, 2])])
        #expect(try Self.completion("{\"prompt\":[[1],[2,3],\"c\"]}").prompts == [.tokens([1]), .tokens([2, 3]), .text("c")])
        #expect(throws: APIError.self) { try Self.completion("{\"prompt\":[\(Array(repeating: "[1]", count: 1025).joined(separator: ","))]}") }
    }

    @Test func defaultsFillGaps() throws {
        let request = try Self.completion(
            "{\"prompt\":\"a\",\"temperature\":null,\"top_p\":0.5,\"stop\":\"x\",\"logit_bias\":{\"5\":200},\"seed\":-1,\"allowed_token_ids\":[1,2]}")
        var defaults = GenerationDefaults(
            generationConfig: try JSONValue(
                parsing: "{\"temperature\":0.7,\"top_p\":0.9,\"top_k\":40,\"eos_token_id\":[7,8],\"max_new_tokens\":9,\"do_sample\":true}"))
        let sampling = request.sampling.parameters(defaults: defaults)
        #expect(sampling.temperature == 0.7)
        #expect(sampling.topP == 0.5)
        #expect(sampling.topK == 40)
        #expect(sampling.minP == 0)
        #expect(sampling.repetitionPenalty == 1)
        #expect(sampling.logitBias == [5: 100])
        #expect(sampling.seed == nil)
        #expect(sampling.eosTokenIDs == [7, 8])
        #expect(sampling.allowedTokenIDs == [1, 2])
        #expect(request.maxTokens == 16)
        #expect(request.sampling.stop == ["x"])
        #expect(defaults.maxNewTokens == 9)
        defaults.adopt(["temperature": 0, "eos_token_id": 3])
        #expect(defaults.temperature == 0)
        #expect(defaults.eosTokenIDs == [3])
        #expect(defaults.summary == "temperature=0.0, top_p=0.9, top_k=40, max_new_tokens=9")
    }

    @Test func tokenBudgets() throws {
        func budget(_ requested: Int?, prompt: Int, defaults: Int? = nil, echo: Bool = false) throws(APIError) -> Int {
            try TokenBudget.resolve(
                requested: requested, field: "max_tokens", defaultTokens: defaults, promptTokens: prompt, maxModelLength: 100,
                scoresPromptOnly: echo)
        }
        #expect(try budget(16, prompt: 10) == 16)
        #expect(try budget(100, prompt: 10) == 90)
        #expect(try budget(nil, prompt: 10) == 90)
        #expect(try budget(nil, prompt: 10, defaults: 5) == 5)
        #expect(try budget(0, prompt: 100, echo: true) == 0)
        #expect(throws: APIError.self) { try budget(0, prompt: 10) }
        #expect(throws: APIError.self) { try budget(101, prompt: 10) }
        #expect(throws: APIError.self) { try budget(nil, prompt: 100) }
        #expect(throws: APIError.self) { try budget(0, prompt: 101, echo: true) }
    }

    @Test func messagesAreNormalized() throws {
        let request = try Self.chat(
            """
            {"messages":[
              {"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
              {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\\"x\\":1}"}},
                {"id":"2","type":"function","function":{"name":"g","arguments":""}},{"id":"3","type":"function","function":{"name":"h","arguments":"{oops"}}]},
              {"role":"tool","tool_call_id":"1","content":"r"},
              {"role":"assistant","content":"c","reasoning_content":"why"}],
             "reasoning_effort":"none","chat_template_kwargs":{"k":1,"enable_thinking":true},"tools":[{"type":"function","function":{"name":"f"}}],
             "tool_choice":"auto","documents":[{"title":"t","text":"d"}],"response_format":{"type":"text"}}
            """)
        let conversation = request.conversation
        #expect(conversation.messages[0]["content"] == [["type": "text", "text": "a"], ["type": "text", "text": "b"]])
        #expect(conversation.messages[1]["content"] == "")
        let calls = conversation.messages[1]["tool_calls"]?.array
        #expect(calls?[0]["function"]?["arguments"] == ["x": 1])
        #expect(calls?[1]["function"]?["arguments"] == .object(JSONObject()))
        #expect(calls?[2]["function"]?["arguments"] == "{oops")
        #expect(conversation.messages[3]["reasoning"] == "why")
        #expect(conversation.templateVariables["enable_thinking"] == true)
        #expect(conversation.templateVariables["reasoning_effort"] == "none")
        #expect(conversation.templateVariables["k"] == 1)
        #expect(conversation.tools?.count == 1)
        #expect(conversation.documents?.count == 1)
        #expect(conversation.addGenerationPrompt)
        let strings = conversation.messages(content: .string, developerAsSystem: true, suffix: "<>")
        #expect(strings[0] == ["role": "system", "content": "a\nb"])
        #expect(strings[1]["content"] == "")
        #expect(strings[3]["content"] == "c<>")
        let parts = conversation.messages(content: .parts, developerAsSystem: false, suffix: "<>")
        #expect(parts[0]["role"] == "developer")
        #expect(parts[0]["content"]?.array?.count == 2)
        #expect(parts[1]["content"] == [])
        #expect(parts[3]["content"] == [["type": "text", "text": "c<>"]])
        #expect(conversation.finalAssistantText == "c")
    }

    @Test func finalMessageIsContinued() throws {
        let request = try Self.chat("{\"messages\":[{\"role\":\"assistant\",\"content\":\"So\"}],\"continue_final_message\":true}")
        #expect(request.conversation.continueFinalMessage)
        #expect(!request.conversation.addGenerationPrompt)
    }

    @Test func streamOptions() throws {
        let request = try Self.completion(
            "{\"prompt\":\"a\",\"stream\":true,\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":true},\"stream_interval\":3}")
        #expect(request.reply.includeUsage)
        #expect(request.reply.continuousUsage)
        #expect(request.reply.streamInterval == 3)
        #expect(throws: APIError.self) { try Self.completion("{\"prompt\":\"a\",\"stream\":true,\"prompt_logprobs\":1}") }
    }

    /// Mutations of good bodies: each is taken or refused with an error, never a trap.
    @Test func fuzz() {
        let seeds = [
            "{\"model\":\"m\",\"prompt\":[[1,2],\"x\"],\"max_tokens\":5,\"stop\":[\"a\"],\"logit_bias\":{\"1\":2.5},\"stream\":true,\"stream_options\":{\"include_usage\":true},\"bad_words\":[\"w\"],\"logprobs\":2,\"n\":3,\"seed\":1,\"truncate_prompt_tokens\":-1}",
            "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"é\"}]},{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}],\"tools\":[{\"function\":{\"name\":\"f\",\"parameters\":{}}}],\"chat_template_kwargs\":{\"a\":null},\"top_logprobs\":1,\"logprobs\":true}",
            "{\"tokens\":[1,2,3],\"prompt\":\"x\",\"return_token_strs\":true}",
        ].map { Array($0.utf8) }
        let values = ["null", "-1", "1e400", "99999999999999999999", "{}", "[]", "\"\"", "true", "0.5", "[[[]]]", "-0", "\"\\ud800\"", "1e18"]
            .map { Array($0.utf8) }
        var random = SplitMix(state: 42)
        var taken = 0, refused = 0
        for round in 0..<6000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0...Int.random(in: 0...3, using: &random) {
                let at = Int.random(in: 0..<max(1, bytes.count), using: &random)
                switch Int.random(in: 0...4, using: &random) {
                case 0 where !bytes.isEmpty: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1 where !bytes.isEmpty: bytes.remove(at: at)
                case 2 where !bytes.isEmpty: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1...20, using: &random)))
                case 3: bytes.insert(contentsOf: values[Int.random(in: 0..<values.count, using: &random)], at: min(at, bytes.count))
                default:
                    // Another value behind some colon.
                    let colons = bytes.indices.filter { bytes[$0] == UInt8(ascii: ":") }
                    guard let colon = colons.randomElement(using: &random) else { continue }
                    let end = bytes[(colon + 1)...].firstIndex { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "}") } ?? bytes.count
                    bytes.replaceSubrange((colon + 1)..<end, with: values[Int.random(in: 0..<values.count, using: &random)])
                }
            }
            for route in 0..<4 {
                do {
                    try Self.decode(bytes, route)
                    taken += 1
                } catch {
                    refused += 1
                    #expect((400...404).contains(error.status) && !error.message.isEmpty)
                }
            }
        }
        #expect(taken > 500 && refused > 5000)
    }

    static func decode(_ bytes: [UInt8], _ route: Int) throws(APIError) {
        switch route {
        case 0: _ = try CompletionRequest(body: bytes).sampling.parameters(defaults: GenerationDefaults())
        case 1: _ = try ChatRequest(body: bytes)
        case 2: _ = try TokenizeRequest(body: bytes)
        default: _ = try DetokenizeRequest(body: bytes)
        }
    }
}
