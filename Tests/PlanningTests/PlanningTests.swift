import Compute
import JSON
import Models
import Planning
import Tensors
import Testing
import Weights

/// Footprints of committed fixtures against sums worked out by hand, and the refusals.
@Suite struct PlanningTests {
    static func fixture(_ name: String, file: String = #filePath) -> String {
        let tests = file.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
        return "\(tests)/Fixtures/models/\(name)"
    }

    private func cache(window: Int? = nil) -> CacheFootprint {
        CacheFootprint(bytesPerBlock: 1024, blockSize: 16, windows: window.map { [nil, $0] } ?? [nil])
    }

    private func plan(
        weights: Int = 10 << 20, work: Int = 1 << 20, budget: Int? = nil, wanted: Int? = nil, available: Int = 100 << 20
    ) throws(PlanError) -> MemoryPlan {
        try MemoryPlan(
            weightBytes: weights, workBytes: work, cache: cache(), limit: 4096, sequences: 4, chunk: 512, budget: budget, wantedLength: wanted,
            available: available, canShrink: true)
    }

    @Test func everyTensorOfAModelIsCounted() throws {
        let source = try ModelSource(path: Self.fixture("llama3-gqa"))
        let weights = try WeightFootprint(source)
        #expect(weights.byteCount == source.checkpoint.byteCount)
        #expect(weights.parameterCount == source.checkpoint.records.reduce(0) { $0 + ($1.shape.elementCount ?? 0) })
        #expect(weights.expertCount == 0)
        // Without experts every matrix is read for each token, and the embedding only where it is the head too.
        let hidden = source.description.hiddenSize, vocabulary = source.description.vocabularySize
        #expect(weights.head.parameterCount == hidden * vocabulary)
        #expect(weights.bytesRead(tokens: 1) == weights.bytesRead(tokens: 64))
    }

    @Test func expertsAreReadAsTheyAreChosen() {
        var weights = WeightFootprint()
        weights.shared = .init(byteCount: 100, parameterCount: 50)
        weights.experts = .init(byteCount: 800, parameterCount: 400)
        (weights.expertCount, weights.activeExperts) = (8, 2)
        #expect(weights.activeParameterCount == 150)
        #expect(weights.bytesRead(tokens: 1) == 300)
        // Two tokens miss an expert with (3/4)²: 7/16 of them are read.
        #expect(abs(weights.bytesRead(tokens: 2) - 450) < 1e-9)
        #expect(weights.bytesRead(tokens: 4096) == 900)
    }

    @Test func windowsBoundTheBlocksOfAText() {
        #expect(cache().blocks(length: 4096) == 256)
        // A window of 64 tokens touches at most five blocks of 16.
        #expect(cache(window: 64).blocks(length: 4096) == 256 + 5)
        #expect(cache(window: 64).blocks(length: 16) == 2)
        #expect(cache().byteCount(length: 100) == 7 * 1024)
        #expect(cache().longestText(in: 11 * 1024, limit: 4096) == 160)
        #expect(cache().longestText(in: 1024, limit: 4096) == 0)
        #expect(cache().texts(of: 32, in: 7 * 1024) == 3)
        #expect(cache().byteCount(length: Int.max / 4, sequences: 1 << 40) > 0)
    }

    @Test func whatFitsIsPlanned() throws {
        let roomy = try plan()
        #expect(roomy.maxModelLength == 4096)
        #expect(roomy.cacheBytes == (4 * 256 + 1) * 1024)
        #expect(roomy.texts == 4)
        // 300 KiB hold 299 usable blocks: one text of 4096 tokens.
        let tight = try plan(budget: 300 << 10)
        #expect((tight.texts, tight.maxModelLength) == (1, 4096))
        let short = try plan(budget: 100 << 10)
        #expect(short.maxModelLength == 99 * 16)
    }

    @Test func whatDoesNotFitIsRefusedWithNumbersAndAdvice() {
        let tooLarge = #expect(throws: PlanError.self) { try plan(weights: 100 << 20) }
        #expect(tooLarge?.description.contains("100.0 MiB") == true || tooLarge?.description.contains("100 MiB") == true)
        #expect(tooLarge?.description.contains("needletail quantize") == true)
        let budget = #expect(throws: PlanError.self) { try plan(budget: 95 << 20) }
        #expect(budget?.description.contains("--kv-cache-memory 89MiB or less") == true)
        let length = #expect(throws: PlanError.self) { try plan(budget: 100 << 10, wanted: 4096) }
        #expect(length?.description.contains("--max-model-len 1584") == true)
    }

    @Test func rooflineFollowsBandwidthThenArithmetic() throws {
        let source = try ModelSource(path: Self.fixture("llama3-gqa"))
        let backend = CPUBackend(.init(threadCount: 1, maxBatchedTokens: 16))
        let wish = ModelPlan.Wish(length: 64, sequences: 1000, batchedTokens: 64, blockSize: 16, format: nil)
        let plan = try ModelPlan(source, name: "x", on: try Device.named("H100"), backend: backend, isHost: false, wish)
        #expect(plan.fits)
        let one = plan.roofline.decode(sequences: 1, context: 64)
        #expect(one.isBoundByMemory)
        let bytes = plan.weights.bytesRead(tokens: 1) + Double(plan.cache.byteCount(length: 64))
        #expect(abs(one.tokensPerSecond / (3.35e12 / bytes) - 1) < 1e-9)
        #expect(plan.json["decode"]?.array?.count == plan.decode.count)
        #expect(plan.rows.contains { $0.0 == "fits" && $0.1.contains("yes") })
    }

    @Test func namesOfDevicesAndFormats() throws {
        #expect(try Device.named("a100").name == "a100-80")
        #expect(Set(Device.catalogue.map(\.name)).count == Device.catalogue.count)
        #expect(throws: PlanError.self) { try Device.named("h900") }
        #expect(throws: PlanError.self) { try PlannedFormat.named("q9") }
    }
}
