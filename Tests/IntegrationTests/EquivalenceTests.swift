import Compute
import Engine
import Sampling
import Testing

extension IntegrationTests {
    /// The promise of the CPU backend and the engine together: tokens and log-probabilities of a request are the same bits however it was served.
    @Suite struct EquivalenceTests {
        /// Every request by itself, one after another, nothing cached: what all other ways must give.
        static func alone(_ path: String, _ requests: [EngineRequest], _ serving: Serving = Serving()) async throws -> [Answer] {
            var serving = serving
            serving.prefixCaching = false
            let model = try ServedModel(path, serving)
            var answers: [Answer] = []
            for request in requests { answers.append(try await model.run(request)) }
            #expect(model.watch.figures.mostSequences == 1)
            try await model.expectNothingHeld("alone")
            return answers
        }

        /// Serves all requests at once, twice: the second time their prompts may be found in the prefix cache.
        static func serve(
            _ path: String, _ serving: Serving, _ requests: [EngineRequest], expecting alone: [Answer], _ comment: Comment
        ) async throws -> (EngineSnapshot, RunnerWatch.Figures) {
            let model = try ServedModel(path, serving)
            for round in 1...2 { expectSame(try await model.run(requests), alone, "\(comment), round \(round)") }
            let snapshot = model.engine.snapshot
            try await model.expectNothingHeld(comment)
            return (snapshot, model.watch.figures)
        }

        @Test(arguments: TinyModel.allCases) func sameBitsHoweverServed(_ tiny: TinyModel) async throws {
            try await tiny.withCheckpoint { path in
                let requests = Workload.mixed
                let alone = try await Self.alone(path, requests)
                #expect(Set(alone.map { $0.tokens[0] ?? [] }).count > 50, "the model tells its prompts apart")
                #expect(alone.contains { $0.ends[0] == .stop } && alone.contains { $0.ends[0] == .length })

                var serving = Serving()
                serving.prefixCaching = false
                let together = try await Self.serve(path, serving, requests, expecting: alone, "together")
                #expect(together.1.mostSequences > 40 && together.1.mixedSteps > 0)

                let cached = try await Self.serve(path, Serving(), requests, expecting: alone, "prefix cache")
                #expect(cached.0.prefixCacheHits > 1000)

                serving = Serving()
                serving.tokensPerStep = 48
                let chunked = try await Self.serve(path, serving, requests, expecting: alone, "chunks of 48")
                #expect(chunked.1.mostTokens == 48)
                serving.tokensPerStep = 17
                serving.prefixCaching = false
                let small = try await Self.serve(path, serving, requests, expecting: alone, "chunks of 17")
                #expect(small.1.mostTokens == 17)

                serving = Serving()
                serving.blockCount = tiny.tightCache
                serving.tokensPerStep = 64
                let tight = try await Self.serve(path, serving, requests, expecting: alone, "tight cache")
                // Sequences with states give blocks back after their prompts, which leaves room to grow: `RecurrentTests` has longer answers.
                #expect(tight.0.preemptions > 0 || tiny.isRecurrent)
                serving.prefixCaching = false
                let tightest = try await Self.serve(path, serving, requests, expecting: alone, "tight cache, nothing found again")
                #expect(tightest.0.preemptions > 0 || tiny.isRecurrent)

                serving = Serving()
                serving.threads = 1
                serving.samplingWorkers = 1
                _ = try await Self.serve(path, serving, requests, expecting: alone, "one thread")
            }
        }

        /// Where nothing is rounded before a product, other kernels run.
        @Test func sameBitsInFloat32() async throws {
            try await TinyModel.llama.withCheckpoint { path in
                let requests = Workload.mixed
                var serving = Serving()
                serving.precision = .float32
                let alone = try await Self.alone(path, requests, serving)
                serving.blockCount = TinyModel.llama.tightCache
                serving.tokensPerStep = 40
                serving.threads = 1
                let tight = try await Self.serve(path, serving, requests, expecting: alone, "tight cache")
                #expect(tight.0.preemptions > 0)
            }
        }

        @Test(arguments: TinyModel.allCases) func continuedElsewhere(_ tiny: TinyModel) async throws {
            try await tiny.withCheckpoint { path in
                // Cuts of every kind of sampling; prompt log-probabilities would be of the tokens carried over too.
                let requests = Workload.mixed.filter { $0.sampling.promptLogprobs == nil && ($0.sampling.maxTokens ?? 0) > 12 }
                let alone = try await Self.alone(path, requests)
                var serving = Serving()
                serving.tokensPerStep = 33
                serving.threads = 1
                let second = try ServedModel(path, serving)
                for cut in [1, 5, 11] {
                    var rest: [EngineRequest] = [], expected: [Answer] = []
                    for (request, whole) in zip(requests, alone) {
                        guard let tokens = whole.tokens[0], tokens.count > cut else { continue }
                        var continued = request
                        continued.outputTokensSoFar = Array(tokens.prefix(cut))
                        rest.append(continued)
                        expected.append(whole.dropping(cut))
                    }
                    #expect(rest.count > 20)
                    expectSame(try await second.run(rest), expected, "cut at \(cut)")
                }
                try await second.expectNothingHeld()
            }
        }

        /// n choices share the prompt's blocks and are the single requests with seed, seed + 1, seed + 2.
        @Test(arguments: TinyModel.allCases) func choicesAreSingleRequests(_ tiny: TinyModel) async throws {
            try await tiny.withCheckpoint { path in
                var several: [EngineRequest] = [], single: [EngineRequest] = []
                for (index, length) in [1, 15, 16, 40, 65, 130, 222].enumerated() {
                    var sampling = SamplingParameters()
                    sampling.maxTokens = 25
                    sampling.logprobs = 5
                    sampling.topP = 0.95
                    sampling.presencePenalty = 0.3
                    for choice in 0..<3 {
                        sampling.seed = UInt64(500 * index + choice)
                        single.append(EngineRequest(promptTokenIDs: Workload.prompt(length, seed: UInt64(index)), sampling: sampling))
                    }
                    sampling.seed = UInt64(500 * index)
                    sampling.n = 3
                    several.append(EngineRequest(promptTokenIDs: Workload.prompt(length, seed: UInt64(index)), sampling: sampling))
                }
                let alone = try await Self.alone(path, single)
                #expect(Set(alone.map { $0.tokens[0] ?? [] }).count == single.count)
                for (blockCount, sequences) in [(4000, 64), (4000, 2), (tiny.tightCache, 64)] {
                    var serving = Serving()
                    serving.blockCount = blockCount
                    serving.sequences = sequences
                    serving.tokensPerStep = 64
                    let model = try ServedModel(path, serving)
                    let answers = try await model.run(several)
                    expectSame(answers.flatMap { answer in (0..<3).map(answer.choice) }, alone, "\(blockCount) blocks, \(sequences) sequences")
                    if sequences > 2 { #expect(model.watch.figures.copies > 0, "shared blocks are copied before they are written to") }
                    try await model.expectNothingHeld()
                }
            }
        }
    }
}

extension TinyModel {
    /// Blocks in which the longest request fits, and 64 at once do not.
    var tightCache: Int {
        switch self {
        case .mistral: 9
        case .qwen2: 57
        default: 46
        }
    }
}
