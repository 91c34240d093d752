import Testing
import Tokenizers

@Suite struct GoldenTests {
    static let committed = [
        "gpt2", "smollm2", "deepseek-v4", "falcon", "phi3-mini", "t5-small", "gpt-neox-20b", "mistral-v3", "bert-uncased", "qwen2",
        "tiny-added", "tiny-unigram-bytes",
    ]
    /// Too large, or of a licence that does not let us hold them: read from beside the package.
    static let shared = ["llama2", "llama3", "gemma4", "starcoder2", "tekken-240718", "o200k"]

    @Test(arguments: committed + shared)
    func isExact(_ name: String) throws {
        guard let folder = Fixtures.tokenizer(name) else {
            print("skipped: tokenizer fixture \(name) is not there")
            #expect(!Self.committed.contains(name), "a committed fixture is missing")
            return
        }
        let report = try TokenizerGolden.verify(folder)
        print(report)
        #expect(report.isExact, "\(report.mismatches.joined(separator: "\n"))")
        #expect(report.total > 900)
    }

    @Test func reportsWhatDiffers() throws {
        // The checker itself: another tokenizer's cases must not pass.
        let gpt2 = try #require(Fixtures.tokenizer("gpt2")), falcon = try #require(Fixtures.tokenizer("falcon"))
        let report = try TokenizerGolden.verify(gpt2, cases: "\(falcon)/cases.json.gz")
        #expect(!report.isExact)
        #expect(!report.mismatches.isEmpty)
    }
}
