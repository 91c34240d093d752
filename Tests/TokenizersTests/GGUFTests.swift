import JSON
import Testing
import Tokenizers

@Suite struct GGUFTests {
    static let models = [
        "gemma2-gguf-q4_1-f16", "llama-gguf-f16", "llama-gguf-q4_0", "llama-gguf-q5_k-q3_k-q2_k", "llama3-gguf-q4_k_m", "mixtral-gguf-q4_0",
        "qwen2-gguf-q4_1-q5", "qwen2-gguf-q8_0", "qwen3-gguf-q4_0",
    ]

    @Test(arguments: models) func matchesGolden(_ name: String) throws {
        guard let shared = Fixtures.shared else {
            print("skipped: model fixture \(name) is not there")
            return
        }
        let folder = "\(shared)/models/\(name)"
        let tokenizer = try Tokenizer(gguf: try GGUFMetadata("\(folder)/\(name).gguf").vocabulary)
        let cases = try #require(try Fixtures.json("\(folder)/golden.json")["tokenizer_cases"])
        let encodes = try #require(cases["encode"]?.array)
        #expect(encodes.count >= 3)
        for row in encodes {
            let text = row["text"]?.string ?? ""
            let ids = try tokenizer.encode(text, addSpecialTokens: false)
            #expect(ids == Fixtures.ids(row["ids"]), "\(text.debugDescription)")
            #expect(try tokenizer.encode(text, addSpecialTokens: true) == Fixtures.ids(row["ids_with_special"]), "\(text.debugDescription)")
            #expect(try tokenizer.encodeWithOffsets(text, addSpecialTokens: false).ids == ids)
            #expect(tokenizer.decode(ids, skipSpecialTokens: true).hasSameBytes(as: row["decoded"]?.string ?? ""), "\(text.debugDescription)")
        }
    }

    /// The same vocabulary, once from tokenizer.json and once as a GGUF file would hold it.
    @Test(arguments: [("smollm2", "smollm"), ("gpt2", "gpt-2"), ("qwen2", "qwen2"), ("llama3", "llama-bpe"), ("starcoder2", "starcoder")])
    func agreesWithJSON(_ name: String, _ pre: String) throws {
        guard let folder = Fixtures.tokenizer(name) else { return print("skipped: tokenizer fixture \(name) is not there") }
        let json = try Fixtures.json("\(folder)/tokenizer.json.gz"), golden = try Fixtures.json("\(folder)/cases.json.gz")
        let pieces = try #require(json["model"]?["vocab"]?.object)
        let added = try #require(json["added_tokens"]?.array)
        let size = 1 + max(pieces.members.map { $0.value.int ?? 0 }.max() ?? 0, added.map { $0["id"]?.int ?? 0 }.max() ?? 0)
        var vocabulary = GGUFVocabulary(model: "gpt2", pre: pre, tokens: Array(repeating: [], count: size))
        vocabulary.tokenTypes = Array(repeating: 5, count: size)
        for member in pieces.members {
            vocabulary.tokens[member.value.int ?? 0] = Array(member.key.utf8)
            vocabulary.tokenTypes[member.value.int ?? 0] = 1
        }
        for token in added {
            let id = token["id"]?.int ?? 0
            vocabulary.tokens[id] = Array((token["content"]?.string ?? "").utf8)
            vocabulary.tokenTypes[id] = 3
        }
        vocabulary.merges = (json["model"]?["merges"]?.array ?? []).map { merge in
            if let text = merge.string { return Array(text.utf8) }
            return Array((merge.array ?? []).map { $0.string ?? "" }.joined(separator: " ").utf8)
        }
        vocabulary.addBOS = false
        var loaded: Tokenizer?
        let time = try ContinuousClock().measure { loaded = try Tokenizer(gguf: vocabulary) }
        print("GGUF vocabulary \(name): \(size) tokens load in \(time)")
        let tokenizer = try #require(loaded)
        var compared = 0
        for row in golden["cases"]?.array ?? [] where row["group"]?.string != "own-special" {
            let text = row["text"]?.string ?? ""
            if added.contains(where: { text.contains($0["content"]?.string ?? " ") }) { continue }
            #expect(try tokenizer.encode(text, addSpecialTokens: false) == Fixtures.ids(row["ids"]), "\(text.prefix(60).debugDescription)")
            compared += 1
        }
        #expect(compared > 200)
    }

    @Test func everyPreTokenizerNameLoads() throws {
        let names = [
            "", "default", "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano", "minicpm5",
            "deepseek-llm", "deepseek-coder", "deepseek-v3", "spark2_5", "youtu", "falcon", "mpt", "starcoder", "gpt-2", "phi-2", "jina-es", "jina-de",
            "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum", "modern-bert", "jais-2", "gemma4", "granite-embed-multi-311m", "sarvam-moe",
            "jina-v1-en", "jina-v2-code", "roberta-bpe", "refact", "command-r", "qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "qwen35", "stablelm2",
            "olmo", "dbrx", "smaug-bpe", "poro-chat", "glm4", "chatglm-bpe", "viking", "jais", "tekken", "smollm", "codeshell", "bloom", "gpt3-finnish",
            "exaone", "exaone4", "exaone-moe", "chameleon", "minerva-7b", "megrez", "gpt-4o", "llama4", "kanana2", "talkie", "granite-embed-multi-97m",
            "tiny_aya", "cohere2moe", "superbpe", "trillion", "granite-docling", "bailingmoe", "bailingmoe2", "llada-moe", "seed-coder", "hunyuan",
            "hunyuan-dense", "hy_v4", "joyai-llm", "kimi-k2", "ufakzeka", "grok-2", "afmoe", "laguna", "minimax-m2", "solar-open", "mellum2",
        ]
        let text = "Hello world, it's 12345 x\n\n  of naïve 漢字かな ABC don'T!! \t "
        for name in names {
            var vocabulary = GGUFVocabulary(model: "gpt2", pre: name, tokens: [])
            let isPlain = ["gemma4", "granite-embed-multi-311m", "sarvam-moe"].contains(name)
            for byte in 0..<256 {
                let hex = Array("0123456789ABCDEF".utf8)
                let written = isPlain ? Array("<0x".utf8) + [hex[byte >> 4], hex[byte & 15], 0x3E] : alphabet(UInt8(byte))
                vocabulary.tokens.append(written)
            }
            vocabulary.tokens.append(isPlain ? Array("e l".utf8) : Array("el".utf8))
            if isPlain { vocabulary.tokens.append(Array("▁".utf8)) }
            vocabulary.merges = name == "kimi-k2" ? [] : [Array("e l".utf8)]
            vocabulary.addBOS = false
            let tokenizer = try Tokenizer(gguf: vocabulary)
            let ids = try tokenizer.encode(text, addSpecialTokens: false)
            #expect(tokenizer.decode(ids, skipSpecialTokens: true).hasSameBytes(as: text), "\(name)")
            #expect(name.isEmpty || isPlain || ids.contains(256), "\(name) joins nothing")
        }
        #expect(throws: TokenizerError.self) { try Tokenizer(gguf: GGUFVocabulary(model: "gpt2", pre: "no-such", tokens: [[65]])) }
    }

    /// GPT-2's alphabet, written out anew.
    private func alphabet(_ byte: UInt8) -> [UInt8] {
        let printable = { (byte: UInt8) in 0x21...0x7E ~= byte || 0xA1...0xAC ~= byte || 0xAE...0xFF ~= byte }
        let scalar = printable(byte) ? UInt32(byte) : 256 + UInt32((0..<byte).filter { !printable($0) }.count)
        return Array(String(Character(Unicode.Scalar(scalar) ?? " ")).utf8)
    }

    @Test func refusesContradictions() {
        var vocabulary = GGUFVocabulary(model: "llama", tokens: [[65], [66]])
        vocabulary.scores = [1]
        #expect(throws: TokenizerError.self) { try Tokenizer(gguf: vocabulary) }
        vocabulary.scores = [.nan, 0]
        #expect(throws: TokenizerError.self) { try Tokenizer(gguf: vocabulary) }
        #expect(throws: TokenizerError.self) { try Tokenizer(gguf: GGUFVocabulary(model: "gpt2", tokens: [])) }
        #expect(throws: TokenizerError.self) { try Tokenizer(gguf: GGUFVocabulary(model: "gpt2", pre: "qwen2", tokens: [[65]])) }
        #expect(throws: TokenizerError.self) { try Tokenizer(gguf: GGUFVocabulary(model: "unheard-of", tokens: [[65]])) }
    }
}
