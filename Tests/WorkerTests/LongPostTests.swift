import Engine
import StandInModel
import Synchronization
import Testing
import Worker
import WorkerProtocol

/// Batch after batch in one request: while it goes well, and when it does not.
@Suite(.timeLimit(.minutes(2))) struct LongPostTests {
    private static let offered = ["X-Needletail-Batch": "1", "X-Needletail-Batches": "1"]

    private static func hand(_ job: String, to gateway: StandInGateway) async {
        gateway.onTake(.init(body: LoopTests.job(job, LoopTests.chat), headers: offered))
        await gateway.waitForDone(job)
    }

    /// Jobs until one of them went that way.
    private static func handUntilOpen(_ gateway: StandInGateway) async {
        var number = 0
        while gateway.longBatches.isEmpty {
            await hand("first-\(number)", to: gateway)
            number += 1
        }
    }

    /// The job's events, each once, in order; nil where one is missing or has two forms.
    private static func text(_ job: String, _ frames: [ChunkFrame]) -> String? {
        var pieces: [Int: [UInt8]] = [:]
        var next = 0
        for frame in frames where frame.job == job && frame.form == .text {
            // Nothing may come before what it follows on.
            if frame.index > next { return nil }
            if let known = pieces[frame.index], known != frame.body { return nil }
            if frame.index == next { next += 1 }
            pieces[frame.index] = frame.body
        }
        return String(decoding: pieces.sorted { $0.key < $1.key }.flatMap(\.value), as: UTF8.self)
    }

    @Test func batchesGoInOneRequest() async throws {
        try await StandInGateway.run { gateway in
            gateway.onLongPost(.read)
            try await LoopTests.run(gateway) {
                await Self.handUntilOpen(gateway)
                for job in ["a", "b", "c"] { await Self.hand(job, to: gateway) }
            }
            let line = try #require(gateway.longPosts.first)
            #expect(gateway.longPosts.count == 1)
            #expect(line.path == "/v2/ep/job-stream-batches/w1?gpu=0")
            #expect(line.headers["authorization"] == "secret")
            let onLine = gateway.longBatches.flatMap { (try? ChunkBatch.frames($0.body)) ?? [] }
            for job in ["a", "b", "c"] {
                #expect(onLine.contains { $0.job == job && $0.form == .done })
                #expect(Self.text(job, onLine)?.hasSuffix("data: [DONE]\n\n") == true)
            }
        }
    }

    @Test func whatIsNotConfirmedIsPostedAgainInOrder() async throws {
        try await StandInGateway.run { gateway in
            gateway.onLongPost(.read)
            try await LoopTests.run(gateway) {
                await Self.handUntilOpen(gateway)
                gateway.onLongPost(.cut)
                await Self.hand("a", to: gateway)
                // Behind all that was taken back.
                await Self.hand("b", to: gateway)
            }
            #expect(gateway.frames.count { $0.job == "a" && $0.index == 0 && $0.form == .text } == 2)
            for job in ["a", "b"] { #expect(Self.text(job, gateway.frames)?.hasSuffix("data: [DONE]\n\n") == true) }
        }
    }

    @Test func goneJobsAreStopped() async throws {
        let generator = FakeGenerator { request in
            request.promptTokenIDs.contains(Int32(UInt8(ascii: "~"))) ? .hang(after: FakeText.ids("Hello")) : .tokens(FakeText.ids("Hello", " world", "!"), .length)
        }
        try await StandInGateway.run { gateway in
            gateway.onLongPost(.read)
            try await LoopTests.run(gateway, on: generator, change: { $0.concurrency = 1 }) {
                await Self.handUntilOpen(gateway)
                gateway.onLongPost(.gone)
                gateway.onTake(.init(body: LoopTests.job("endless", LoopTests.chat.replacing("hi", with: "~")), headers: Self.offered))
                // Its place is free again.
                await Self.hand("a", to: gateway)
            }
            #expect(generator.log.withLock { $0.cancelled } == 1)
            #expect(!gateway.frames.contains { $0.job == "endless" && $0.form == .done })
        }
    }

    @Test(arguments: [404, 503]) func whereItIsRefusedPostsAreSingle(_ status: Int) async throws {
        try await StandInGateway.run { gateway in
            gateway.onLongPost(.refused(status))
            try await LoopTests.run(gateway) { for number in 0..<5 { await Self.hand("\(number)", to: gateway) } }
            // Not with each of ten posts and more: it is tried again after growing pauses.
            #expect((1..<5).contains(gateway.longPosts.count))
            for number in 0..<5 { #expect(Self.text("\(number)", gateway.frames)?.hasSuffix("data: [DONE]\n\n") == true) }
        }
    }

    @Test func aProxyThatGathersHoldsNothingBack() async throws {
        try await StandInGateway.run { gateway in
            gateway.onLongPost(.gathered)
            try await LoopTests.run(gateway) { for number in 0..<5 { await Self.hand("\(number)", to: gateway) } }
            #expect(gateway.longBatches.isEmpty)
            for number in 0..<5 { #expect(Self.text("\(number)", gateway.frames)?.hasSuffix("data: [DONE]\n\n") == true) }
        }
    }
}
