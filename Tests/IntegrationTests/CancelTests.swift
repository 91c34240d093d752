import Engine
import Sampling
import Testing

extension IntegrationTests {
    /// Requests that go away at any moment leave nothing behind and change nobody else's bits.
    @Suite struct CancelTests {
        /// How a client goes away.
        private enum Exit: Int, CaseIterable { case stays, byID, dropsUnread, stopsReading, cancelsTask }

        @Test(arguments: TinyModel.allCases) func stormsLeaveNothingAndDisturbNobody(_ tiny: TinyModel) async throws {
            try await tiny.withCheckpoint { path in
                let requests = Workload.mixed
                let alone = try await IntegrationTests.EquivalenceTests.alone(path, requests)
                var serving = Serving()
                serving.blockCount = tiny.tightCache
                serving.tokensPerStep = 64
                let model = try ServedModel(path, serving)
                for round in 0..<3 {
                    let survivors = try await Self.storm(model, requests, seed: UInt64(round))
                    #expect(survivors.count > 5)
                    expectSame(survivors.map(\.1), survivors.map { alone[$0.0] }, "survivors of round \(round)")
                    try await model.expectNothingHeld("round \(round)")
                }
                #expect(model.engine.snapshot.finishedAbort > 0)
                expectSame(try await model.run(requests), alone, "after the storms")
                #expect(model.engine.snapshot.preemptions > 0 || tiny.isRecurrent)
                try await model.expectNothingHeld("after the storms")
            }
        }

        /// - Returns: the answers of those that stayed, with their places.
        private static func storm(_ model: ServedModel, _ requests: [EngineRequest], seed: UInt64) async throws -> [(Int, Answer)] {
            var random = SeededGenerator(seed: seed)
            return try await withThrowingTaskGroup(of: (Int, Answer)?.self) { group in
                for index in requests.indices.shuffled(using: &random) {
                    let exit = Exit.allCases.randomElement(using: &random) ?? .stays
                    let patience = Int.random(in: 0...12, using: &random)
                    var request = requests[index]
                    // Those that leave may have several choices, and more to say than they get to.
                    if exit != .stays, !request.sampling.isGreedy { request.sampling.n = 1 + patience % 3 }
                    if exit != .stays { request.sampling.maxTokens = 200 }
                    let outputs = try model.engine.submit(request)
                    group.addTask { try await leave(model, outputs, exit, patience).map { (index, $0) } }
                }
                var survivors: [(Int, Answer)] = []
                for try await answer in group { if let answer { survivors.append(answer) } }
                return survivors
            }
        }

        private static func leave(_ model: ServedModel, _ outputs: RequestOutputs, _ exit: Exit, _ patience: Int) async throws -> Answer? {
            switch exit {
            case .stays: return try await Answer(outputs)
            case .byID:
                if patience > 6 { for try await _ in outputs { break } }
                model.engine.cancel(outputs.id)
            case .dropsUnread: break
            case .stopsReading:
                var events = 0
                for try await _ in outputs {
                    events += 1
                    if events > patience { break }
                }
            case .cancelsTask:
                let task = Task { try await Answer(outputs) }
                for _ in 0..<patience { await Task.yield() }
                task.cancel()
                _ = try? await task.value
            }
            return nil
        }

        /// Everything cancelled at once, and a shutdown in the middle of work.
        @Test func cancelAllAndShutdown() async throws {
            try await TinyModel.llama.withCheckpoint { path in
                let model = try ServedModel(path)
                let requests = Workload.mixed.map { request in
                    var long = request
                    long.sampling.maxTokens = 400
                    long.sampling.stopTokenIDs = []
                    long.sampling.ignoreEOS = true
                    return long
                }
                let outputs = try requests.map { try model.engine.submit($0) }
                for try await event in outputs[0] { if case .tokens = event { break } }
                model.engine.cancelAll()
                for stream in outputs.dropFirst() { #expect(try await Answer(stream).ends[0] == .abort) }
                try await model.expectNothingHeld("all cancelled")

                let more = try requests.map { try model.engine.submit($0) }
                await model.engine.shutdown()
                for stream in more { #expect(try await Answer(stream).ends[0] == .abort) }
                #expect(!model.engine.isAlive)
                #expect(model.engine.snapshot.freeBlocks == model.engine.snapshot.totalBlocks)
            }
        }
    }
}
