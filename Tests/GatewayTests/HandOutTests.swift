import Gateway
import JSON
import Jobs
import NIOHTTP1
import Testing
import WorkerProtocol

/// Jobs on their way to workers, and back.
@Suite struct HandOutTests {
    @Test func anAnswerToATakeIsNotTooLargeToBeRead() async throws {
        try await LiveGateway.with(["endpoints": ["a": ["provider": "none"]]]) { gateway async throws in
            let body = "{\"input\": {\"text\": \"\(String(repeating: "x", count: 9_000_000))\"}}"
            var ids: [String] = []
            for _ in 0..<6 { ids.append(try #require(try await gateway.call(.POST, "/v2/a/run", body).json["id"]?.string)) }
            var taken: [String] = []
            while taken.count < 6 {
                let batch = try await gateway.call(.GET, "/v2/a/job-take-batch/w1?batch_size=30")
                try #require(batch.status == 200 && batch.text.utf8.count < 40_000_000)
                taken += (batch.json.array ?? [batch.json]).compactMap { $0["id"]?.string }
            }
            #expect(taken == ids)
            #expect(try await gateway.call(.GET, "/v2/a/health").json["jobs"]?["retried"] == 0)
        }
    }

    @Test func whatAWorkerGivesBackCostsNoRetry() async throws {
        try await LiveGateway.with(["endpoints": ["a": ["provider": "none", "maxRetries": 0]]]) { gateway async throws in
            let id = try #require(try await gateway.call(.POST, "/v2/a/run", #"{"input": {}}"#).json["id"]?.string)
            for attempt in 1...3 {
                let job = try await gateway.call(.GET, "/v2/a/job-take/w\(attempt)").json
                #expect(job["id"]?.string == id && job["needletail"]?["attempt"]?.int == attempt)
                // It goes on behind what was made so far.
                #expect(job["needletail"]?["resume"]?["chunks"]?.int == (attempt > 1 ? attempt - 1 : nil))
                #expect(try await gateway.call(.GET, "/v2/a/ping/w\(attempt)?status=leaving&job_id=\(id)").status == 200)
                var post = JSONWriter()
                ChunkBatch.append(.init(job: id, attempt: attempt, index: attempt - 1, form: .text, resume: Array(#"{"tokens":[[7]]}"#.utf8), body: Array("x".utf8)), to: &post)
                ChunkBatch.append(.init(job: id, attempt: attempt, index: 0, form: .back, body: []), to: &post)
                let answer = try await gateway.call(.POST, "/v2/a/job-stream-batch/w\(attempt)", String(decoding: post.bytes, as: UTF8.self))
                #expect(answer.text == #"{"gone":[]}"#, "\(answer)")
                #expect(try await gateway.call(.GET, "/v2/a/status/\(id)").json["status"] == "IN_QUEUE")
                // It gets nothing more, though nobody but itself ends it.
                #expect(try await gateway.call(.GET, "/v2/a/job-take/w\(attempt)").status == 204)
            }
        }
    }
}
