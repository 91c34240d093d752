import CLI
import Testing

@Suite struct EventStreamParserTests {
    private func events(_ pieces: [[UInt8]]) throws -> [String] {
        var parser = EventStreamParser(), events: [String] = []
        for piece in pieces { try parser.feed(piece) { events.append(String(decoding: $0, as: UTF8.self)) } }
        return events
    }

    private let stream = Array(
        "\u{FEFF}data: {\"a\":\"é\"}\n\n: keep alive\r\n\r\nevent: x\rdata:one\rdata: two\r\rid: 4\n\ndata\n\ndata: [DONE]\n\ndata: cut".utf8)
    private let wanted = ["{\"a\":\"é\"}", "one\ntwo", "", "[DONE]"]

    @Test func readsAllLineEnds() throws {
        #expect(try events([stream]) == wanted)
    }

    @Test func doesNotMindWhereItIsCut() throws {
        for cut in 0...stream.count { #expect(try events([Array(stream[..<cut]), Array(stream[cut...])]) == wanted) }
        #expect(try events(stream.map { [$0] }) == wanted)
    }

    @Test func readsChunks() throws {
        func chunk(_ text: String) throws -> ReplyChunk { try ReplyChunk(Array(text.utf8)) }
        let completion = try chunk(#"{"choices":[{"index":0,"text":"hi","finish_reason":null}],"usage":null}"#)
        #expect(completion.text == "hi" && completion.hasChoice && !completion.isFinished)
        let role = try chunk(#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#)
        #expect(role.text == "" && role.hasChoice)
        #expect(try chunk(#"{"choices":[{"delta":{"reasoning_content":"hm","reasoning":"hm"}}]}"#).text == "hm")
        let usage = try chunk(#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#)
        #expect(!usage.hasChoice && usage.promptTokens == 7 && usage.completionTokens == 3)
        #expect(throws: BenchError("in the stream: too bad")) { try chunk(#"{"error":{"message":"too bad"}}"#) }
        #expect(throws: BenchError.self) { try chunk("<html>") }
    }
}
