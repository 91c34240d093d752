import JSON
import OpenAI
import Testing

@Suite struct WriterTests {
    static let head = ReplyHead(id: "a\"b", created: 5, model: "m", fingerprint: nil)

    @Test func everyChunkIsJSON() throws {
        let texts = ["", "plain", "\"\\\n\r\t\u{8}\u{1}\u{1F}", "é🙂\u{7F}", String(repeating: "x\n", count: 500)]
        let token = ScoredToken(
            id: 4, text: [0xC3], logprob: -.infinity, rank: 1, textOffset: 3, candidates: [.init(id: 4, text: [0xC3], logprob: -.infinity, rank: 1)])
        for writer in [CompletionWriter(head: Self.head, tokensAsTokenIDs: false), ChatWriter(head: Self.head, topLogprobs: 1, tokensAsTokenIDs: false)]
            as [any ReplyWriter]
        {
            for text in texts {
                var delta = ChoiceDelta(index: 1)
                delta.text = Array(text.utf8)
                delta.scored = [token]
                delta.tokenIDs = [1, 2]
                delta.end = ChoiceEnd(reason: "stop", cause: .stopString(text))
                delta.usage = Usage(promptTokens: 1, completionTokens: 2, cachedTokens: 1)
                var output = JSONWriter()
                writer.chunk(delta, into: &output)
                let event = String(decoding: output.bytes, as: UTF8.self)
                #expect(event.hasPrefix("data: {") && event.hasSuffix("}\n\n") && event.filter { $0 == "\n" }.count == 2)
                let json = try JSONValue(parsing: String(event.dropFirst(6)))
                let choice = json["choices"]?.array?.first
                #expect(json["id"] == "a\"b")
                #expect((choice?["text"] ?? choice?["delta"]?["content"])?.string == text)
                #expect(choice?["stop_reason"]?.string == text)
                #expect(choice?["token_ids"] == [1, 2])
                #expect(json["usage"]?["prompt_tokens_details"]?["cached_tokens"] == 1)
                if let lists = choice?["logprobs"], lists["content"] == nil {
                    #expect(lists["tokens"] == ["\u{FFFD}"])
                    #expect(lists["token_logprobs"] == [-9999.0])
                } else {
                    let content = choice?["logprobs"]?["content"]?.array?.first
                    #expect(content?["bytes"] == [195])
                    #expect(content?["top_logprobs"]?.array?.count == 1)
                }
            }
        }
    }

    @Test func errorsHaveOneShape() throws {
        let error = APIError.invalid("bad \"thing\"", parameter: "top_p", value: "7")
        let json = try JSONValue(parsing: error.body)["error"]
        #expect(json?["message"] == "bad \"thing\" (parameter=top_p, value=7)")
        #expect(json?["type"] == "BadRequestError")
        #expect(json?["param"] == "top_p")
        #expect(json?["code"] == 400)
        var writer = JSONWriter()
        writer.errorEvent(error)
        writer.doneEvent()
        #expect(String(decoding: writer.bytes, as: UTF8.self).hasSuffix("}}\n\ndata: [DONE]\n\n"))
    }

    @Test func longValuesAreClipped() {
        let long = String(repeating: "é", count: 10_000)
        #expect(APIError.unknownModel(long, served: ["m"]).message.count < 400)
        #expect(APIError.invalid("x", parameter: "p", value: long).message.count < 400)
    }
}
