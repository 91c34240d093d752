import AsyncHTTPClient
import Gateway
import JSON
import Jobs
import NIOCore
import NIOHTTP1
import Testing
import WorkerProtocol

/// A worker's batches one after another in one request.
@Suite(.timeLimit(.minutes(2))) struct LongPostTests {
    private static let file: JSONValue = ["endpoints": ["a": ["provider": "none"]]]

    /// The worker's end.
    private struct Line {
        let send: AsyncStream<ByteBuffer>.Continuation
        var bytes: HTTPClientResponse.Body.AsyncIterator
        var answers = BatchStream.AnswerReader()

        init(_ gateway: LiveGateway, _ worker: String) async throws {
            let (body, send) = AsyncStream.makeStream(of: ByteBuffer.self)
            // The head is here before anything was sent.
            let response = try await gateway.stream("/v2/a/job-stream-batches/\(worker)", body)
            try #require(response.status == .ok)
            (self.send, bytes) = (send, response.body.makeAsyncIterator())
        }

        func batch(_ number: Int, _ frames: [ChunkFrame], wantsAnswer: Bool = false) {
            var inner = JSONWriter(), writer = JSONWriter()
            for frame in frames { ChunkBatch.append(frame, to: &inner) }
            BatchStream.append(number, wantsAnswer: wantsAnswer, inner.bytes, to: &writer)
            send.yield(ByteBuffer(bytes: writer.bytes))
        }

        mutating func answer() async throws -> BatchStream.Answer? {
            while true {
                if let answer = try answers.next() { return answer }
                guard let piece = try await bytes.next() else { return nil }
                answers.add(piece.readableBytesView)
            }
        }
    }

    private func chunk(_ job: String, _ index: Int, attempt: Int = 1) -> ChunkFrame {
        .init(job: job, attempt: attempt, index: index, form: .text, resume: Array(#"{"tokens":[[7]]}"#.utf8), body: Array("data: \(index)\n\n".utf8))
    }

    private func job(_ gateway: LiveGateway, _ body: (String, Task<LiveGateway.Answer, any Error>) async throws -> Void) async throws {
        async let poll = gateway.call(.GET, "/v2/a/job-take-batch/w1?batch_size=1")
        while try await gateway.call(.GET, "/v2/a/health").json["workers"]?["idle"]?.int != 1 {}
        let answer = Task { try await gateway.call(.POST, "/v2/a/openai/v1/completions", #"{"model": "m", "prompt": "x", "stream": true}"#) }
        try await body(try #require(try await poll.json.array?.first?["id"]?.string), answer)
    }

    @Test func eachBatchGoesOnAtOnceAndAnswersComeAsAskedFor() async throws {
        try await LiveGateway.with(Self.file) { gateway async throws in
            try await job(gateway) { id, answer in
                var line = try await Line(gateway, "w1")
                line.batch(1, [chunk(id, 0)])
                line.batch(2, [chunk(id, 1)], wantsAnswer: true)
                #expect(try await line.answer() == .init(number: 2))
                line.batch(3, [chunk(id, 2), .init(job: id, attempt: 1, index: 0, form: .done, body: Array(#"{"output":[]}"#.utf8))], wantsAnswer: true)
                #expect(try await line.answer() == .init(number: 3))
                #expect(try await answer.value.text == "data: 0\n\ndata: 1\n\ndata: 2\n\n")
                // A job that is nobody's any more is said at once.
                line.batch(4, [chunk(id, 3)])
                #expect(try await line.answer() == .init(number: 4, gone: [id]))
                line.batch(5, [])
                line.send.finish()
                #expect(try await line.answer() == .init(number: 5, isOver: true))
                #expect(try await line.answer() == nil)
            }
        }
    }

    @Test func whatIsNoBatchEndsItAndCostsNothingBefore() async throws {
        try await LiveGateway.with(Self.file) { gateway async throws in
            try await job(gateway) { id, answer in
                var line = try await Line(gateway, "w1")
                line.batch(1, [chunk(id, 0)])
                line.send.yield(ByteBuffer(string: "{\"batch\":2,\"length\":3}\nabc\n"))
                #expect(try await line.answer() == .init(number: 1, isOver: true))
                line.send.finish()
                // The rest by itself.
                var post = JSONWriter()
                for frame in [chunk(id, 0), chunk(id, 1), .init(job: id, attempt: 1, index: 0, form: .done, body: Array(#"{"output":[]}"#.utf8))] {
                    ChunkBatch.append(frame, to: &post)
                }
                #expect(try await gateway.call(.POST, "/v2/a/job-stream-batch/w1", String(decoding: post.bytes, as: UTF8.self)).text == #"{"gone":[]}"#)
                #expect(try await answer.value.text == "data: 0\n\ndata: 1\n\n")
            }
        }
    }

    @Test func aRequestThatEndsWithinABatchTakesWhatWasWhole() async throws {
        try await LiveGateway.with(Self.file) { gateway async throws in
            try await job(gateway) { id, answer in
                var line = try await Line(gateway, "w1")
                line.batch(7, [chunk(id, 0)])
                line.send.yield(ByteBuffer(string: "{\"batch\":8,\"length\":30}\nabc"))
                line.send.finish()
                #expect(try await line.answer() == .init(number: 7, isOver: true))
                let done = "{\"job\":\"\(id)\",\"attempt\":1,\"form\":\"done\",\"length\":13}\n{\"output\":[]}\n"
                #expect(try await gateway.call(.POST, "/v2/a/job-stream-batch/w1", done).status == 200)
                #expect(try await answer.value.text == "data: 0\n\n")
            }
        }
    }

    @Test func theStoreFailingEndsItBeforeTheBatch() async throws {
        try await LiveGateway.with(Self.file) { gateway async throws in
            try await job(gateway) { id, answer in
                var line = try await Line(gateway, "w1")
                line.batch(1, [chunk(id, 0)])
                gateway.store.fail([.apply])
                let done = ChunkFrame(job: id, attempt: 1, index: 0, form: .done, body: Array(#"{"output":[]}"#.utf8))
                line.batch(2, [done], wantsAnswer: true)
                #expect(try await line.answer() == .init(number: 1, isOver: true))
                gateway.store.fail([])
                line.send.finish()
                var post = JSONWriter()
                ChunkBatch.append(done, to: &post)
                #expect(try await gateway.call(.POST, "/v2/a/job-stream-batch/w1", String(decoding: post.bytes, as: UTF8.self)).text == #"{"gone":[]}"#)
                #expect(try await answer.value.text == "data: 0\n\n")
            }
        }
    }
}
