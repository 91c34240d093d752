import CLI
import JSON
import Testing

@Suite struct BenchPromptTests {
    private func ids(_ prompt: BenchPrompt) -> [Int32] {
        if case .tokens(let ids) = prompt.content { ids } else { [] }
    }

    @Test func drawsLengthsAndIDsInRange() {
        var random = RandomPrompts()
        random.inputLength = 20
        random.outputLength = 10
        random.rangeRatio = 0.5
        random.prefixLength = 4
        random.vocabulary = 100..<110
        let prompts = random.make(300, seed: 1)
        #expect(prompts == random.make(300, seed: 1))
        #expect(prompts != random.make(300, seed: 2))
        #expect(Set(prompts.map { ids($0).count }) == Set(14...34))
        #expect(Set(prompts.map(\.outputTokens)) == Set(5...15))
        #expect(prompts.allSatisfy { $0.inputTokens == ids($0).count && ids($0).allSatisfy { 100 <= $0 && $0 < 110 } })
        #expect(Set(prompts.map { ids($0).prefix(4) }).count == 1)
    }

    @Test func wordsForServersThatTakeText() {
        var random = RandomPrompts()
        random.inputLength = 12
        random.usesWords = true
        guard case .text(let text)? = random.make(1, seed: 0).first?.content else {
            Issue.record("no text")
            return
        }
        #expect(text.split(separator: " ").count == 12)
    }

    @Test func readsLines() throws {
        let file = Array("\n{\"prompt\":\"one\",\"output_tokens\":5}\r\n{\"prompt\":\"two words\"}\n".utf8)
        let prompts = try PromptFile.prompts(file, outputLength: nil)
        #expect(prompts.map(\.content) == [.text("one"), .text("two words")])
        #expect(prompts.map(\.outputTokens) == [5, 256])
        #expect(try PromptFile.prompts(file, outputLength: 9).map(\.outputTokens) == [9, 9])
    }

    @Test func readsShareGPT() throws {
        let file = Array(#" [{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"0123456789012345678901234"}]},{"conversations":[]}]"#.utf8)
        let prompts = try PromptFile.prompts(file, outputLength: nil)
        #expect(prompts == [BenchPrompt(content: .text("q"), inputTokens: 1, outputTokens: 6)])
    }

    @Test(arguments: ["", "{}", "{\"prompt\":3}", "{\"prompt\":\"x\",\"output_tokens\":0}", "[]", "[{}]", "[", "nonsense"])
    func refuses(_ text: String) {
        #expect(throws: BenchError.self) { try PromptFile.prompts(Array(text.utf8), outputLength: nil) }
    }

    @Test func choosesWithRepetition() {
        let prompts = (0..<4).map { BenchPrompt(content: .tokens([$0]), inputTokens: 1, outputTokens: 1) }
        let chosen = PromptFile.choose(10, of: prompts, seed: 0, shuffles: true)
        #expect(chosen.count == 10)
        #expect(Set(chosen.prefix(4).map(ids)) == Set(prompts.map(ids)))
        #expect(PromptFile.choose(2, of: prompts, seed: 0, shuffles: false) == Array(prompts.prefix(2)))
    }

    @Test func buildsAddresses() throws {
        #expect(try LoadTarget.address(base: "http://h:1/", endpoint: "chat").url == "http://h:1/v1/chat/completions")
        #expect(try LoadTarget.address(base: "http://h/v1", endpoint: "completions").url == "http://h/v1/completions")
        let path = try LoadTarget.address(base: "https://h", endpoint: "/x/chat/completions")
        #expect(path.url == "https://h/x/chat/completions" && path.route == .chat)
        #expect(throws: BenchError.self) { try LoadTarget.address(base: "h:1", endpoint: "chat") }
        #expect(throws: BenchError.self) { try LoadTarget.address(base: "http://h", endpoint: "embeddings") }
    }

    @Test func buildsBodies() throws {
        var target = LoadTarget(url: "", route: .completions, model: "m", ignoresEOS: true, extra: JSONObject([("top_k", 3), ("temperature", 1)]))
        let prompt = BenchPrompt(content: .tokens([5, 6]), inputTokens: 2, outputTokens: 7)
        #expect(String(decoding: target.body(prompt), as: UTF8.self) == """
            {"model":"m","prompt":[5,6],"max_tokens":7,"temperature":1,"ignore_eos":true,"stream":true,\
            "stream_options":{"include_usage":true},"top_k":3}
            """)
        target = LoadTarget(url: "", route: .chat, model: "m", temperature: nil)
        let text = BenchPrompt(content: .text("hi"), inputTokens: 1, outputTokens: 7)
        #expect(String(decoding: target.body(text), as: UTF8.self) == """
            {"model":"m","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":7,"stream":true,\
            "stream_options":{"include_usage":true}}
            """)
    }
}
