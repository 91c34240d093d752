import Compute
import Glibc
import JSON
import Models
import Progress
import Quantize
import TemporaryPath
import Tensors
import Testing
import Weights

/// A folder that goes away with the test.
struct Scratch: ~Copyable {
    let path: String

    init() throws {
        guard let folder = temporaryFolder("needletail-quantize") else { throw QuantiseError("no temporary folder") }
        path = folder
    }

    deinit {
        for name in ["out", "out.partial", "one", "two"] { FolderFiles.remove("\(path)/\(name)") }
        for name in ["a.gguf", "b.gguf", "a.gguf.partial"] { unlink("\(path)/\(name)") }
        rmdir(path)
    }
}

/// Checkpoints made and read back by our own readers: exact where nothing is rounded, near the original where it is.
@Suite(.serialized) struct QuantizeTests {
    private let backend = CPUBackend(.init(threadCount: 2, maxBatchedTokens: 16))

    static func fixture(_ name: String, file: String = #filePath) -> String {
        let tests = file.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
        return "\(tests)/Fixtures/models/\(name)"
    }

    /// Logits after each token of a short text, in float32.
    private func losses(_ path: String) throws -> Perplexity {
        var options = Perplexity.Options(threads: 2)
        options.precision = .float32
        return try Perplexity.measure(
            ModelSource(path: path), tokens: (0..<48).map { Int32($0 * 7 % 90 + 5) }, options: options, progress: SilentProgress())
    }

    @Test(arguments: ["llama3-gqa", "llama31-rope", "llama-v1-mha", "llama32-tied", "mistral-swa", "qwen2", "yi"])
    func sixteenBitGGUFGivesTheSameModel(_ name: String) throws {
        let scratch = try Scratch(), file = "\(scratch.path)/a.gguf"
        try GGUFConversion(path: Self.fixture(name), mix: mix("f16")).write(to: file, on: backend, progress: SilentProgress())
        let before = try losses(Self.fixture(name)), after = try losses(file)
        // bfloat16 weights beyond the range of normal halves lose bits; nothing else is rounded.
        #expect(abs(before.loss - after.loss) < 2e-3 * before.loss, "\(before.value) became \(after.value)")
    }

    @Test(arguments: ["q8_0", "q6_k", "q5_k", "q4_k", "q3_k", "q2_k", "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl", "mxfp4"])
    func ggufTypesAreReadBack(_ name: String) throws {
        let scratch = try Scratch(), file = "\(scratch.path)/a.gguf", again = "\(scratch.path)/b.gguf"
        let conversion = try GGUFConversion(path: Self.fixture("llama3-gqa"), mix: mix(name))
        try conversion.write(to: file, on: backend, progress: SilentProgress())
        let written = try Checkpoint.open(file)
        #expect(written.byteCount == conversion.byteCounts.after)
        #expect(written.byteCount < conversion.byteCounts.before)
        let before = try losses(Self.fixture("llama3-gqa")), after = try losses(file)
        #expect(abs(after.loss / before.loss - 1) < (name == "q2_k" || name == "q3_k" || name == "mxfp4" ? 0.25 : 0.1))
        // What has its type already is copied, not rounded again.
        try GGUFConversion(path: file, mix: mix(name)).write(to: again, on: backend, progress: SilentProgress())
        let copy = try Checkpoint.open(again)
        for tensor in written.names {
            let a = try written.tensor(tensor), b = try copy.tensor(tensor)
            #expect(a.dtype == b.dtype && a.withUnsafeBytes { left in b.withUnsafeBytes { left.elementsEqual($0) } }, "\(tensor)")
        }
    }

    @Test(arguments: HubScheme.allCases)
    func hubLayoutsAreReadBack(_ scheme: HubScheme) throws {
        let scratch = try Scratch(), folder = "\(scratch.path)/out"
        let conversion = try HubConversion(path: Self.fixture("llama3-gqa"), scheme: scheme, groupSize: nil)
        try OutputFolder.write(folder) { try conversion.write(to: $0, on: backend, progress: SilentProgress(), shardBytes: 40_000) }
        let before = try losses(Self.fixture("llama3-gqa")), after = try losses(folder)
        #expect(abs(after.loss / before.loss - 1) < (scheme.isGrouped ? 0.1 : 0.02), "\(before.value) became \(after.value)")
        #expect(try Checkpoint.open(folder).byteCount == conversion.byteCounts.after)
        #expect(FolderFiles.exists("\(folder)/model.safetensors.index.json"))
        #expect(FolderFiles.exists("\(folder)/tokenizer.json"))
        #expect(!FolderFiles.exists("\(folder).partial"))
        // What is quantised is not quantised again.
        #expect(throws: QuantiseError.self) { try HubConversion(path: folder, scheme: scheme, groupSize: nil) }
    }

    /// Scales span the weights at most, so no weight is further from its code than half a step, but for those that were clipped.
    @Test func weightsStayNearTheirCodes() throws {
        let scratch = try Scratch(), folder = "\(scratch.path)/out"
        let conversion = try HubConversion(path: Self.fixture("llama3-gqa"), scheme: .int8, groupSize: nil)
        try OutputFolder.write(folder) { try conversion.write(to: $0, on: backend, progress: SilentProgress()) }
        let source = try Checkpoint.open(Self.fixture("llama3-gqa")), written = try Checkpoint.open(folder)
        for module in conversion.modules {
            let original = try source.tensor(module + ".weight").floats(), scales = try written.tensor(module + ".weight_scale").floats()
            let codes = try written.tensor(module + ".weight").integers(), columns = original.count / scales.count
            for index in original.indices {
                let scale = scales[index / columns]
                #expect(abs(original[index] - Float(codes[index]) * scale) <= scale * 0.51)
            }
        }
    }

    @Test func aFailureLeavesNothing() throws {
        let scratch = try Scratch(), folder = "\(scratch.path)/out"
        #expect(throws: QuantiseError.self) { try OutputFolder.write(folder) { _ in throw QuantiseError("no") } }
        #expect(!FolderFiles.exists(folder) && !FolderFiles.exists(folder + ".partial"))
        // A folder that holds no model is not replaced.
        try FolderFiles.makeFolder("\(scratch.path)/one")
        #expect(throws: QuantiseError.self) { try OutputFolder.write("\(scratch.path)/one") { _ in } }
        #expect(FolderFiles.exists("\(scratch.path)/one"))
    }

    @Test func refusalsSayWhatToDo() throws {
        #expect(throws: QuantiseError.self) { try QuantisationFormat.named("q9_9") }
        #expect(throws: QuantiseError.self) { try HubConversion(path: Self.fixture("llama3-gqa"), scheme: .awq, groupSize: 1000) }
        #expect(throws: (any Error).self) { try GGUFConversion(path: Self.fixture("nothing-here"), mix: mix("q8_0")) }
        #expect(try QuantisationFormat.named("Q4_K_M") == .gguf(mix("q4_k")))
        #expect(try QuantisationFormat.named("FP8_block") == .hub(.fp8Block))
    }

    @Test func perplexityOfKnownProbabilities() {
        var perplexity = Perplexity()
        for _ in 0..<4 { perplexity.add(log(0.25)) }
        #expect(abs(perplexity.value - 4) < 1e-12)
        #expect(perplexity.uncertainty < 1e-6)
        #expect(perplexity.scoredTokens == 4)
    }

    private func mix(_ name: String) throws -> GGUFMix {
        guard case .gguf(let mix) = try QuantisationFormat.named(name) else { throw QuantiseError("\(name) is no GGUF type") }
        return mix
    }
}
