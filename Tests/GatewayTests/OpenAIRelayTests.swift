import AsyncHTTPClient
import Gateway
import JSON
import Jobs
import NIOCore
import NIOHTTP1
import Testing
import WorkerProtocol

/// OpenAI requests on their way through: straight to a worker that waits, and straight back.
@Suite struct OpenAIRelayTests {
    private static let file: JSONValue = ["endpoints": ["a": ["provider": "none"]]]
    private static let request = #"{"model": "m", "prompt": "x", "stream": true}"#
    private static let path = "/v2/a/openai/v1/completions"

    private func frames(_ job: String, _ range: Range<Int>, _ text: (Int) -> String, attempt: Int = 1, isLast: Bool = false) -> String {
        var post = JSONWriter()
        for index in range {
            ChunkBatch.append(
                .init(job: job, attempt: attempt, index: index, form: .text, resume: Array(#"{"tokens":[[7]]}"#.utf8), body: Array("data: \(text(index))\n\n".utf8)), to: &post)
        }
        if isLast { ChunkBatch.append(.init(job: job, attempt: attempt, index: 0, form: .done, body: Array(#"{"output":[]}"#.utf8)), to: &post) }
        return String(decoding: post.bytes, as: UTF8.self)
    }

    @Test func aWaitingWorkerGetsARequestAtOnce() async throws {
        try await LiveGateway.with(Self.file) { gateway async throws in
            async let poll = gateway.call(.GET, "/v2/a/job-take/w1")
            while try await gateway.call(.GET, "/v2/a/health").json["workers"]?["idle"]?.int != 1 {}
            async let answer = gateway.call(.POST, Self.path, Self.request)
            let job = try await poll.json
            let id = try #require(job["id"]?.string)
            #expect(job["needletail"]?["attempt"]?.int == 1 && job["needletail"]?["resume"] == nil)
            for place in 0..<3 {
                let post = frames(id, place..<(place + 1), { "\($0)" }, isLast: place == 2)
                #expect(try await gateway.call(.POST, "/v2/a/job-stream-batch/w1", post).text == #"{"gone":[]}"#)
            }
            let got = try await answer
            #expect(got.status == 200 && got.text == "data: 0\n\ndata: 1\n\ndata: 2\n\n", "\(got)")
            let jobs = try await gateway.call(.GET, "/v2/a/health").json["jobs"]
            #expect(jobs?["completed"] == 1 && jobs?["inProgress"] == 0 && jobs?["inQueue"] == 0 && jobs?["retried"] == 0)
        }
    }

    @Test func aWorkerThatHangsUpMeanwhileCostsNoRetry() async throws {
        try await LiveGateway.with(Self.file) { gateway async throws in
            let poll = Task { try await gateway.call(.GET, "/v2/a/job-take/w1") }
            while try await gateway.call(.GET, "/v2/a/health").json["workers"]?["idle"]?.int != 1 {}
            let (gone, isGone) = AsyncStream.makeStream(of: Void.self)
            gateway.store.holdSubmit {
                defer { isGone.finish() }
                poll.cancel()
                // Until the gateway has noticed. An answer that is on its way by then is lost, and the worker's pings tell.
                while (try? await gateway.call(.GET, "/metrics").text.contains(#"operation="job-take""#)) == false {}
            }
            async let answer = gateway.call(.POST, Self.path, Self.request)
            for await _ in gone {}
            let job = try await gateway.call(.GET, "/v2/a/job-take/w2").json
            let id = try #require(job["id"]?.string)
            #expect(job["needletail"]?["attempt"]?.int == 2)
            let post = frames(id, 0..<1, { "\($0)" }, attempt: 2, isLast: true)
            #expect(try await gateway.call(.POST, "/v2/a/job-stream-batch/w2", post).text == #"{"gone":[]}"#)
            #expect(try await answer.text == "data: 0\n\n")
            let jobs = try await gateway.call(.GET, "/v2/a/health").json["jobs"]
            #expect(jobs?["completed"] == 1 && jobs?["inProgress"] == 0 && jobs?["retried"] == 0)
        }
    }

    @Test func aRequestThatCannotBeStoredIsTakenBackFromItsWorker() async throws {
        try await LiveGateway.with(Self.file) { gateway async throws in
            async let poll = gateway.call(.GET, "/v2/a/job-take/w1")
            while try await gateway.call(.GET, "/v2/a/health").json["workers"]?["idle"]?.int != 1 {}
            gateway.store.fail([.commit])
            let refused = try await gateway.call(.POST, Self.path, Self.request)
            #expect(refused.status == 503 && refused.text.contains("told to fail"), "\(refused)")
            let id = try #require(try await poll.json["id"]?.string)
            #expect(try await gateway.call(.GET, "/v2/a/job-stop/w1").json["jobsToStop"]?.array == [.string(id)])
            // What it posts is nobody's.
            #expect(try await gateway.call(.POST, "/v2/a/job-stream-batch/w1", frames(id, 0..<1) { _ in "late" }).json["gone"]?.array == [.string(id)])
            // With /run the worker hears nothing before the job is stored, and its poll stays open.
            async let next = gateway.call(.GET, "/v2/a/job-take/w1")
            while try await gateway.call(.GET, "/v2/a/health").json["workers"]?["idle"]?.int != 1 {}
            #expect(try await gateway.call(.POST, "/v2/a/run", #"{"input": {}}"#).status == 503)
            gateway.store.fail([])
            let kept = try #require(try await gateway.call(.POST, "/v2/a/run", #"{"input": {}}"#).json["id"]?.string)
            #expect(try await next.json["id"]?.string == kept)
            #expect(try await gateway.call(.GET, "/v2/a/status/\(kept)").json["status"] == "IN_PROGRESS")
        }
    }

    /// While the client does not read, its task has the word; when it does, chunks go past it again: all in order.
    @Test func aSlowClientGetsEverythingInOrder() async throws {
        try await LiveGateway.with(Self.file) { gateway async throws in
            async let poll = gateway.call(.GET, "/v2/a/job-take/w1")
            async let opened = gateway.open(.POST, Self.path, Self.request)
            let id = try #require(try await poll.json["id"]?.string)
            let filler = String(repeating: "x", count: 60_000)
            // More than the sockets hold, before a byte of it is read.
            var index = 0
            while index < 600 {
                let count = index % 7 + 1
                let post = frames(id, index..<(index + count)) { "\($0) \(filler)" }
                try #require(try await gateway.call(.POST, "/v2/a/job-stream-batch/w1", post).text == #"{"gone":[]}"#)
                index += count
            }
            let response = try await opened
            try #require(response.status.code == 200)
            var text: [UInt8] = [], seen = 0, isEnded = false
            for try await buffer in response.body {
                text += buffer.readableBytesView
                while let end = text.firstIndex(of: UInt8(ascii: "\n")) {
                    let line = String(decoding: text[..<end], as: UTF8.self)
                    text.removeFirst(end + 1)
                    if line.isEmpty || line.hasPrefix(":") { continue }
                    try #require(line.hasPrefix("data: \(seen) ") || line == "data: \(seen)", "at \(seen): \(line.prefix(20))")
                    seen += 1
                }
                // Read to here, it is as fast as the worker again.
                if seen >= index, !isEnded {
                    isEnded = true
                    for place in index..<(index + 50) {
                        let post = frames(id, place..<(place + 1), { "\($0)" }, isLast: place == index + 49)
                        try #require(try await gateway.call(.POST, "/v2/a/job-stream-batch/w1", post).text == #"{"gone":[]}"#)
                    }
                }
            }
            #expect(seen == index + 50)
        }
    }
}
