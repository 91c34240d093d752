import JSON
import Testing
import WorkerProtocol

@Suite struct ChunkBatchTests {
    @Test func framesComeBackAsTheyWere() throws {
        let frames = [
            ChunkFrame(job: "a-1", attempt: 1, index: 0, form: .text, resume: Array(#"{"tokens":[[1,2]]}"#.utf8), body: Array("data: é\n\n".utf8)),
            ChunkFrame(job: "b", attempt: 3, index: 9, form: .json, body: Array(#"{"x":1}"#.utf8)),
            ChunkFrame(job: "a-1", attempt: 1, index: 0, form: .done, body: []),
        ]
        var writer = JSONWriter()
        for frame in frames { ChunkBatch.append(frame, to: &writer) }
        #expect(try ChunkBatch.frames(writer.bytes) == frames)
        #expect(try ChunkBatch.frames([]).isEmpty)
    }

    @Test func everyCutAndEveryFlippedByteIsReadOrRefused() throws {
        var writer = JSONWriter()
        ChunkBatch.append(ChunkFrame(job: "a", attempt: 1, index: 2, form: .text, body: Array("hello".utf8)), to: &writer)
        for count in 1..<writer.bytes.count { #expect(throws: ChunkBatchError.self) { try ChunkBatch.frames(Array(writer.bytes[..<count])) } }
        for place in writer.bytes.indices {
            var broken = writer.bytes
            broken[place] ^= 0x15
            _ = try? ChunkBatch.frames(broken)
        }
    }

    @Test(arguments: ["9223372036854775807", "-1", "1e3", "99999999999999999999999"])
    func hugeLengthsAreRefused(_ length: String) {
        let bytes = Array("{\"job\":\"a\",\"attempt\":1,\"index\":0,\"form\":\"text\",\"length\":\(length)}\nx\n".utf8)
        #expect(throws: ChunkBatchError.self) { try ChunkBatch.frames(bytes) }
    }

    @Test func deltasAddUpAndSurviveTheirText() throws {
        var state = ResumeState()
        state.add(ResumeDelta(tokens: [[1], [5, 6]], created: 77))
        state.add(ResumeDelta(tokens: [[2, 3], []], finished: [1]))
        #expect(state == ResumeState(chunks: 2, total: ResumeDelta(tokens: [[1, 2, 3], [5, 6]], finished: [1], created: 77)))
        var writer = JSONWriter()
        JobMessage.write(
            id: "j", input: Array("{}".utf8), extras: Array(#"{"s3Config":{"a":1},"id":"other"}"#.utf8), attempt: 2, retries: 1, delayTime: 5, resume: state,
            into: &writer)
        let message = try #require(JobMessage(try JSONValue(parsing: writer.bytes)))
        #expect(message.id == "j" && message.attempt == 2 && message.resume == state)
        #expect(try JSONValue(parsing: writer.bytes)["s3Config"]?["a"]?.int == 1)
    }
}
