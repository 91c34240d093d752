import JSON
import Testing
import Tokenizers

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Broken files are refused with a reason, long texts take time in proportion, and streams never take text back.
@Suite struct RobustnessTests {
    static let broken: [String] = [
        "", "{", "[]", "{}", #"{"model": null}"#, #"{"model": {}}"#, #"{"model": {"type": "Nothing", "vocab": {}}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}"#, #"{"model": {"type": "BPE", "vocab": {"a": 99999999999}, "merges": []}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0.5}, "merges": []}}"#, #"{"model": {"type": "BPE", "vocab": ["a"], "merges": []}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]}}"#, #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a"]]}}"#, #"{"model": {"type": "BPE", "vocab": {"a": 0}}}"#,
        #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "x"}}"#, #"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 3}}"#,
        #"{"model": {"type": "Unigram", "vocab": [["a", 1]], "unk_id": 7}}"#, #"{"model": {"type": "Unigram", "vocab": [["a", "x"]]}}"#,
        #"{"model": {"type": "Unigram", "vocab": [["a"]]}}"#, #"{"model": {"type": "WordLevel", "vocab": {"a": 0"#,
        #"{"normalizer": {"type": "What"}, "model": {"type": "WordLevel", "vocab": {}}}"#, #"{"normalizer": 5, "model": {"type": "WordLevel", "vocab": {}}}"#,
        #"{"normalizer": {"type": "Precompiled", "precompiled_charsmap": "////"}, "model": {"type": "WordLevel", "vocab": {}}}"#,
        #"{"normalizer": {"type": "Precompiled", "precompiled_charsmap": "!"}, "model": {"type": "WordLevel", "vocab": {}}}"#,
        #"{"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": false}, "model": {"type": "WordLevel", "vocab": {}}}"#,
        #"{"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "["}, "behavior": "Isolated", "invert": false}, "model": {"type": "WordLevel", "vocab": {}}}"#,
        #"{"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Sideways", "invert": false}, "model": {"type": "WordLevel", "vocab": {}}}"#,
        #"{"pre_tokenizer": {"type": "FixedLength", "length": 0}, "model": {"type": "WordLevel", "vocab": {}}}"#,
        #"{"pre_tokenizer": {"type": "CharDelimiterSplit", "delimiter": "ab"}, "model": {"type": "WordLevel", "vocab": {}}}"#,
        #"{"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}], "pair": [], "special_tokens": {}}, "model": {"type": "WordLevel", "vocab": {}}}"#,
        #"{"post_processor": {"type": "BertProcessing", "sep": ["x"], "cls": ["y", 1]}, "model": {"type": "WordLevel", "vocab": {}}}"#,
        #"{"decoder": {"type": "Strip", "content": " ", "start": -1, "stop": 0}, "model": {"type": "WordLevel", "vocab": {}}}"#,
        #"{"added_tokens": [{"content": "x"}], "model": {"type": "WordLevel", "vocab": {}}}"#, #"{"added_tokens": 5, "model": {"type": "WordLevel", "vocab": {}}}"#,
    ]

    @Test(arguments: broken) func brokenFileIsRefused(_ text: String) {
        #expect(throws: TokenizerError.self) { try Fixtures.load(text: text) }
    }

    @Test func cutFilesAreRefused() throws {
        let folder = try #require(Fixtures.tokenizer("tiny-added"))
        let text = Array(try TokenizerGolden.readText("\(folder)/tokenizer.json.gz").utf8)
        for length in stride(from: 1, to: text.count - 1, by: 397) {
            #expect(throws: TokenizerError.self) { try text[..<length].withUnsafeBufferPointer { try Tokenizer(json: $0) } }
        }
    }

    @Test func brokenSentencePieceIsRefused() {
        for bytes: [UInt8] in [[0x0A], [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], [0x0B], [0x12, 0x02, 0x18, 0x01], Array(repeating: 0xFF, count: 40)] {
            #expect(throws: TokenizerError.self) { try bytes.withUnsafeBufferPointer { try Tokenizer(sentencePiece: $0) } }
        }
    }

    @Test func costlyPatternEndsWithAnError() throws {
        let json = #"{"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(x+x+)+[yz]"}, "behavior": "Isolated", "invert": false}, "model": {"type": "WordLevel", "vocab": {"u": 0}, "unk_token": "u"}}"#
        let tokenizer = try Fixtures.load(text: json)
        #expect(throws: TokenizerError.self) { try tokenizer.encode(String(repeating: "x", count: 5000), addSpecialTokens: false) }
        #expect(try tokenizer.encode("xxy", addSpecialTokens: false) == [0])
    }

    /// Of this thread: what else the machine does has no part in it.
    private static func processorTime(_ body: () throws -> Void) rethrows -> Duration {
        func now() -> Duration {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
        }
        let begin = now()
        try body()
        return now() - begin
    }

    @Test(arguments: ["gpt2", "qwen2", "mistral-v3", "t5-small", "bert-uncased", "deepseek-v4"])
    func longTextsTakeTimeInProportion(_ name: String) throws {
        let tokenizer = try Tokenizer(contentsOf: try #require(Fixtures.tokenizer(name)))
        for unit in ["a", " ", "😀", "漢", "'", "e\u{301}"] {
            let short = String(repeating: unit, count: 20_000), long = String(repeating: unit, count: 160_000)
            var least = Duration.seconds(1000), most = least
            for _ in 0..<3 {
                least = min(least, try Self.processorTime { _ = try tokenizer.encode(short, addSpecialTokens: false) })
                most = min(most, try Self.processorTime { _ = try tokenizer.encode(long, addSpecialTokens: false) })
            }
            // Eight times the text: a quadratic walk would take 64 times as long.
            #expect(most < least * 30 + .milliseconds(20), "\(name) \(unit)")
        }
    }

    @Test(arguments: ["gpt2", "mistral-v3", "t5-small", "bert-uncased", "tiny-unigram-bytes", "phi3-mini"])
    func streamsAddUpToTheWholeText(_ name: String) throws {
        let tokenizer = try Tokenizer(contentsOf: try #require(Fixtures.tokenizer(name)))
        var generator = Seeded(state: 42)
        for _ in 0..<200 {
            let ids = (0..<Int.random(in: 1...30, using: &generator)).map { _ in
                Int32.random(in: 0..<Int32(min(tokenizer.vocabularySize, 600)), using: &generator)
            }
            var detokenizer = tokenizer.makeDetokenizer(skipSpecialTokens: true)
            var text = "", parts: [String] = []
            for id in ids {
                let part = detokenizer.append(id)
                parts.append(part)
                text += part
            }
            text += detokenizer.finish()
            #expect(!parts.contains { $0.unicodeScalars.last == "\u{FFFD}" }, "\(ids)")
            let whole = tokenizer.decode(ids, skipSpecialTokens: true)
            // Where a run of byte tokens breaks, characters shown before cannot be taken back; U+FFFD tells such cases.
            if !whole.unicodeScalars.contains("\u{FFFD}") || name == "gpt2" { #expect(text.hasSameBytes(as: whole), "\(ids)") }
        }
    }

    @Test func encodesOnManyThreadsAtOnce() async throws {
        let tokenizer = try Tokenizer(contentsOf: try #require(Fixtures.tokenizer("smollm2")))
        let text = "The quick brown fox jumps over the lazy dog, 12345 times; naïve café 漢字."
        let expected = try tokenizer.encode(text, addSpecialTokens: true)
        let agree = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask { try (0..<200).allSatisfy { _ in try tokenizer.encode(text, addSpecialTokens: true) == expected } }
            }
            return try await group.reduce(true) { $0 && $1 }
        }
        #expect(agree)
    }

    @Test func specialTokensInTextCanBeText() throws {
        let tokenizer = try Tokenizer(contentsOf: try #require(Fixtures.tokenizer("gpt2")))
        #expect(try tokenizer.encode("<|endoftext|>", addSpecialTokens: false).count == 1)
        let ids = try tokenizer.encode("<|endoftext|>", addSpecialTokens: false, parsesSpecialTokens: false)
        #expect(ids.count > 1)
        #expect(tokenizer.decode(ids, skipSpecialTokens: true) == "<|endoftext|>")
    }
}

/// A small generator with a fixed start.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }
}
