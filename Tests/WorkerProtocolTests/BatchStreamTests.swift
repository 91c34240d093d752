import JSON
import Testing
import WorkerProtocol

@Suite struct BatchStreamTests {
    private static let frames = [
        ChunkFrame(job: "a", attempt: 1, index: 0, form: .text, resume: Array(#"{"tokens":[[1]]}"#.utf8), body: Array("data: é\n\n".utf8)),
        ChunkFrame(job: "b", attempt: 2, index: 0, form: .done, body: Array(#"{"output":[]}"#.utf8)),
    ]

    private static func batch(_ number: Int, wantsAnswer: Bool, _ frames: [ChunkFrame]) -> [UInt8] {
        var inner = JSONWriter(), writer = JSONWriter()
        for frame in frames { ChunkBatch.append(frame, to: &inner) }
        BatchStream.append(number, wantsAnswer: wantsAnswer, inner.bytes, to: &writer)
        return writer.bytes
    }

    @Test(arguments: [1, 2, 3, 7, 1000]) func batchesComeBackHoweverTheyAreCut(_ size: Int) throws {
        let bytes = Self.batch(1, wantsAnswer: false, Self.frames) + Self.batch(2, wantsAnswer: true, []) + Self.batch(3, wantsAnswer: true, [Self.frames[0]])
        var reader = BatchStream.Reader()
        var found: [BatchStream.Batch] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            reader.add(bytes[start..<min(start + size, bytes.count)])
            while let batch = try reader.next() { found.append(batch) }
        }
        #expect(found == [
            .init(number: 1, wantsAnswer: false, frames: Self.frames), .init(number: 2, wantsAnswer: true, frames: []),
            .init(number: 3, wantsAnswer: true, frames: [Self.frames[0]]),
        ])
        #expect(reader.isEmpty)
        reader.add(bytes.prefix(10))
        #expect(try reader.next() == nil)
        #expect(!reader.isEmpty)
    }

    @Test func manyBatchesTakeNoMoreRoomThanOne() throws {
        var reader = BatchStream.Reader()
        let batch = Self.batch(5, wantsAnswer: false, [ChunkFrame(job: "a", attempt: 1, index: 0, form: .text, body: Array(repeating: 120, count: 3000))])
        // One byte of the next is always there, so that there is never an end.
        reader.add(batch.prefix(1))
        for _ in 0..<200 {
            reader.add(batch.dropFirst() + batch.prefix(1))
            #expect(try reader.next()?.number == 5)
            #expect(try reader.next() == nil)
        }
    }

    @Test(arguments: [
        "{\"batch\":1,\"length\":-1}\n", "{\"batch\":1,\"length\":9223372036854775807}\nx\n", "{\"batch\":1,\"length\":300000000}\n", "{\"length\":0}\n\n", "{\"batch\":1}\n\n",
        "{\"batch\":1,\"length\":2}\n\nxyz", "x\n", "[]\n", "{\"batch\":1,\"length\":4}\nabcd\n", "{\"batch\":1,\"length\":0}\n\n{\"batch\":1,\"length\":1}}\n",
    ]) func whatIsNoBatchIsRefused(_ text: String) {
        var reader = BatchStream.Reader()
        reader.add(Array(text.utf8))
        #expect(throws: ChunkBatchError.self) { while try reader.next() != nil {} }
    }

    @Test func aLineWithoutEndIsRefused() throws {
        var reader = BatchStream.Reader()
        reader.add(Array(repeating: UInt8(ascii: " "), count: 1000))
        #expect(try reader.next() == nil)
        reader.add(Array(repeating: UInt8(ascii: " "), count: 1000))
        #expect(throws: ChunkBatchError.self) { try reader.next() }
    }

    @Test func answersComeBack() throws {
        var writer = JSONWriter()
        let answers = [
            BatchStream.Answer(number: 3), BatchStream.Answer(number: 4, gone: ["a", "\"\n"]), BatchStream.Answer(number: -1, isOver: true),
        ]
        for answer in answers { BatchStream.append(answer, to: &writer) }
        var reader = BatchStream.AnswerReader()
        var found: [BatchStream.Answer] = []
        for byte in writer.bytes {
            reader.add([byte])
            while let answer = try reader.next() { found.append(answer) }
        }
        #expect(found == answers)
    }
}
