import Engine
import Sampling
import Step
import Testing

extension IntegrationTests {
    /// Layers with a sliding window hold no more blocks than the window needs.
    @Suite struct WindowTests {
        /// Blocks that a window and a step of `chunk` tokens touch at most, wherever block borders fall.
        static func bound(window: Int, chunk: Int) -> Int { (window - 1 + chunk + Serving.blockSize - 2) / Serving.blockSize + 1 }

        /// Blocks that the steps of a request see or write at most: from the first visible key to the step's last token.
        static func needed(_ request: EngineRequest, window: Int, chunk: Int) -> Int {
            let prompt = request.promptTokenIDs.count, last = prompt + (request.sampling.maxTokens ?? 0) - 1
            var computed = 0, most = 0
            while computed < last {
                let end = computed < prompt ? min(prompt, computed + chunk) : computed + 1
                let first = max(0, computed - window + 1) / Serving.blockSize
                most = max(most, (end - 1) / Serving.blockSize - first + 1)
                computed = end
            }
            return most
        }

        static var long: EngineRequest {
            var sampling = SamplingParameters(greedy: 60)
            sampling.logprobs = 5
            return EngineRequest(promptTokenIDs: Workload.prompt(650, seed: 4), sampling: sampling)
        }

        @Test(arguments: [1, 16, 50, 512]) func heldBlocksStayAtTheBound(chunk: Int) async throws {
            try await TinyModel.mistral.withCheckpoint { path in
                let alone = try await EquivalenceTests.alone(path, [Self.long])
                let bound = Self.bound(window: TinyModel.mistralWindow, chunk: chunk)
                var serving = Serving()
                serving.tokensPerStep = chunk
                serving.sequences = 1
                // A pool of just so many blocks does for a text of 44.
                serving.blockCount = 1 + bound
                let model = try ServedModel(path, serving)
                expectSame([try await model.run(Self.long)], alone, "chunks of \(chunk)")
                let figures = model.watch.figures
                #expect(figures.mostBlocks == [Self.needed(Self.long, window: TinyModel.mistralWindow, chunk: chunk)])
                #expect(figures.mostBlocks[0] <= bound)
                #expect(model.engine.snapshot.preemptions == 0)
                try await model.expectNothingHeld()
            }
        }

        /// The smallest pool there is: steps shrink until they fit, and the answer is the same.
        @Test func aPoolForOneTokenAtATime() async throws {
            try await TinyModel.mistral.withCheckpoint { path in
                let alone = try await EquivalenceTests.alone(path, [Self.long])
                var serving = Serving()
                serving.blockCount = 1 + Self.bound(window: TinyModel.mistralWindow, chunk: 1)
                let model = try ServedModel(path, serving)
                expectSame([try await model.run(Self.long)], alone, "tiny pool")
                try await model.expectNothingHeld()
            }
        }

        /// Groups with and without a window draw on one pool: only the full one grows with the text.
        @Test func mixedGroupsHoldWhatTheyNeed() async throws {
            try await TinyModel.qwen2.withCheckpoint { path in
                var serving = Serving()
                serving.tokensPerStep = 32
                let model = try ServedModel(path, serving)
                _ = try await model.run(Self.long)
                let windows = model.engine.kvCache.groups.map(\.slidingWindow)
                #expect(windows.contains(24) && windows.contains(nil))
                let tokens = Self.long.promptTokenIDs.count + 59
                for (group, window) in windows.enumerated() {
                    let whole = (tokens + Serving.blockSize - 1) / Serving.blockSize
                    #expect(model.watch.figures.mostBlocks[group] == window.map { Self.needed(Self.long, window: $0, chunk: 32) } ?? whole)
                }
                try await model.expectNothingHeld()
            }
        }
    }
}
