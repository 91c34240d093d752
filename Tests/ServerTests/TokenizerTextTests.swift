import JSON
import OpenAI
import Server
import Templates
import Testing
import Tokenizers

/// The real text side, with a tokenizer of four tokens.
@Suite struct TokenizerTextTests {
    static let file = """
        {"added_tokens":[{"id":3,"content":"<s>","special":true,"normalized":false,"lstrip":false,"rstrip":false,"single_word":false}],
         "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},"decoder":{"type":"ByteLevel"},
         "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}
        """

    static func make(_ template: String?) throws -> TokenizerText {
        let tokenizer = try Array(file.utf8).withUnsafeBufferPointer { try Tokenizer(json: $0) }
        return try TokenizerText(tokenizer: tokenizer, chatTemplate: template, specialTokens: .init(bos: "<s>"))
    }

    static func conversation(_ body: String) throws -> Conversation { try ChatRequest(body: Array(body.utf8)).conversation }

    @Test func renders() throws {
        let text = try Self.make("{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }};{% endfor %}{% if add_generation_prompt %}>{% endif %}")
        let plain = try Self.conversation(
            "{\"messages\":[{\"role\":\"developer\",\"content\":\"x\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}]}")
        #expect(try text.render(plain) == "<s>[system]x;[user]a\nb;>")
        let open = try Self.conversation("{\"messages\":[{\"role\":\"assistant\",\"content\":\"So \"}],\"continue_final_message\":true}")
        #expect(try text.render(open) == "<s>[assistant]So ")
    }

    @Test func continuesAfterStrippedText() throws {
        let text = try Self.make("{% for m in messages %}[{{ m.content | trim }}]{% endfor %}")
        let open = try Self.conversation("{\"messages\":[{\"role\":\"assistant\",\"content\":\"So \"}],\"continue_final_message\":true}")
        #expect(try text.render(open) == "[So")
        let hidden = try Self.make("nothing")
        #expect(throws: APIError.self) { try hidden.render(open) }
    }

    @Test func partsForTemplatesThatWalkThem() throws {
        let text = try Self.make("{% for m in messages %}{% for c in m.content %}<{{ c.text }}>{% endfor %}{% endfor %}")
        let parts = try Self.conversation("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"user\",\"content\":\"c\"}]}")
        #expect(try text.render(parts) == "<a><b><c>")
    }

    @Test func templateErrorsAreTheClients() throws {
        let text = try Self.make("{{ raise_exception('no system role') }}")
        let error = #expect(throws: APIError.self) { try text.render(try Self.conversation("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}")) }
        #expect(error?.status == 400)
        #expect(error?.message.contains("no system role") == true)
        let missing = try Self.make(nil)
        let none = #expect(throws: APIError.self) { try missing.render(try Self.conversation("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}")) }
        #expect(none?.status == 400)
    }

    @Test func tokensAndText() throws {
        let text = try Self.make(nil)
        #expect(try text.encode("<s>abba", addSpecialTokens: false) == [3, 2, 1, 0])
        #expect(text.vocabularySize == 4)
        #expect(text.longestTokenBytes == 3)
        #expect(text.spelling(of: 2) == "ab")
        #expect(text.spelling(of: 9) == nil)
        var detokenizer = text.makeDetokenizer(after: [3], skipSpecialTokens: true, spacesBetweenSpecialTokens: true)
        var output: [UInt8] = []
        for id in [Int32(2), 3, 0] { detokenizer.append(id, to: &output) }
        detokenizer.finish(into: &output)
        #expect(String(decoding: output, as: UTF8.self) == "aba")
    }
}
