import FoundationEssentials
import JSON
import Tensors
import Testing
import Weights

/// Every model fixture opens, whole: skipped where the fixtures are not beside the package.
@Suite(.enabled(if: fixtures != nil, "no fixtures: set NEEDLETAIL_FIXTURES to their folder"))
struct FixtureTests {
    static let models: [String] = {
        guard let fixtures, let names = try? FileManager.default.contentsOfDirectory(atPath: fixtures + "/models") else { return [] }
        return names.filter { FileManager.default.fileExists(atPath: fixtures + "/models/\($0)/golden.json") }.sorted()
    }()

    @Test func thereAreModels() { #expect(Self.models.count > 100) }

    @Test(arguments: models) func opens(_ model: String) throws {
        let folder = try #require(fixtures) + "/models/" + model
        let checkpoint = try Checkpoint.open(folder)
        #expect(checkpoint.names.count > 5)
        #expect(checkpoint.format == (model.contains("gguf") ? .gguf : .safetensors))
        let weights = checkpoint.weights()
        for name in checkpoint.names {
            let view = try weights.tensor(name)
            #expect(view.shape.byteCount(view.dtype) == view.bytes.count)
            // Nothing here needs a copy.
            #expect(isWindow(view))
        }
        try weights.requireAllUsed()
        if checkpoint.format == .gguf {
            let gguf = try #require(checkpoint.gguf)
            #expect(try gguf.model.int("block_count") > 0)
            let vocabulary = try #require(try checkpoint.vocabulary())
            #expect(vocabulary.tokens.count > 100 && vocabulary.types.count == vocabulary.tokens.count)
            #expect(vocabulary.merges != nil || vocabulary.scores.count == vocabulary.tokens.count)
        } else {
            #expect(try checkpoint.config().strings("architectures").count == 1)
            _ = try checkpoint.generationConfig()
        }
    }

    /// The prompts as tensors are those in golden.json.
    @Test(arguments: models) func golden(_ model: String) throws {
        let folder = try #require(fixtures) + "/models/" + model
        let golden = try SafetensorsFile(path: folder + "/golden.safetensors")
        let json = try ConfigReader(file: folder + "/golden.json")
        let prompts = try #require(json.value("prompts")?.array)
        #expect(prompts.count >= 3)
        for index in 0..<3 {
            let ids = try golden.tensor("prompt_\(index)").integers()
            let expected = prompts[index].array ?? []
            #expect(!ids.isEmpty && ids == expected.compactMap(\.int))
        }
        for record in golden.records where record.type.dtype?.isFloat == true {
            #expect(try record.view().floats().allSatisfy { $0.isFinite })
        }
    }
}
