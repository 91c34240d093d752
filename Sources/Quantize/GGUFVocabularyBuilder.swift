import JSON
import ModelText
import Tensors
import Tokenizers
import Weights

/// `tokenizer.json` as the vocabulary of a GGUF file.
///
/// GGUF names the splitting of text instead of describing it, so a name is tried on sample texts until the tokens are those of the original.
struct GGUFVocabularyBuilder {
    private let tokenizer: Tokenizer
    private let text: ModelText
    private let ends: [Int]
    private var kind = "gpt2"
    private var tokens: [String] = []
    private var types: [Int32] = []
    private var scores: [Float] = []
    private var merges: [String] = []
    private var bos: Int32?, eos: Int32?, unknown: Int32?, padding: Int32?
    private var addsBOS = false, addsEOS = false, addsSpace: Bool?

    /// - Parameter rows: rows of the embedding: as many tokens are written, the missing ones as unused.
    init(folder: String, rows: Int, config: ConfigReader) throws {
        text = try ModelText.load(folder: folder, checkpoint: nil, chatTemplate: nil)
        tokenizer = text.tokenizer
        let path = "\(folder)/tokenizer.json"
        guard let file = try? MappedFile(path: path) else { throw QuantiseError("\(path) is needed to write a GGUF file") }
        let json = try file.withUnsafeBytes { try JSONValue(parsing: $0.bindMemory(to: UInt8.self), options: .init(allowsNonFinite: true)) }
        guard let model = json["model"], model["type"]?.string == "BPE" || model["merges"] != nil, let vocabulary = model["vocab"]?.object else {
            throw QuantiseError("\(path): only byte-pair vocabularies can be written as GGUF, this is \(json["model"]?["type"]?.string ?? "another kind")")
        }
        if model["byte_fallback"]?.bool == true { kind = "llama" }
        let generation = try ConfigReader.generation(folder)
        ends = try generation?.ints(optional: "eos_token_id") ?? config.ints(optional: "eos_token_id") ?? []
        try fill(vocabulary, added: json["added_tokens"]?.array ?? [], rows: rows)
        try readMerges(model["merges"]?.array ?? [])
        if kind == "llama" { scorePieces(vocabulary) }
        try readSpecials(config)
        addsSpace = kind == "llama" ? prependsSpace(json) : nil
    }

    func metadata() throws -> [(String, GGUFValue)] {
        let pre = try splitting()
        var keys: [(String, GGUFValue)] = [("tokenizer.ggml.model", .string(kind)), ("tokenizer.ggml.pre", .string(pre)), ("tokenizer.ggml.tokens", .strings(tokens))]
        if kind == "llama" { keys.append(("tokenizer.ggml.scores", .f32s(scores))) }
        keys.append(("tokenizer.ggml.token_type", .i32s(types)))
        if kind == "gpt2" { keys.append(("tokenizer.ggml.merges", .strings(merges))) }
        func id(_ name: String, _ value: Int32?) { if let value { keys.append(("tokenizer.ggml.\(name)_token_id", .u32(UInt32(max(0, value))))) } }
        id("bos", bos)
        id("eos", eos)
        id("unknown", unknown)
        id("padding", padding)
        // Other tokens that end an answer, in the two places that GGUF has for them.
        let others = ends.filter { $0 != eos.map(Int.init) && $0 >= 0 && $0 < tokens.count }
        if let first = others.first { id("eot", Int32(first)) }
        if others.count > 1 { id("eom", Int32(others[1])) }
        keys.append(("tokenizer.ggml.add_bos_token", .bool(addsBOS)))
        keys.append(("tokenizer.ggml.add_eos_token", .bool(addsEOS)))
        if let addsSpace { keys.append(("tokenizer.ggml.add_space_prefix", .bool(addsSpace))) }
        if let template = text.chatTemplate { keys.append(("tokenizer.chat_template", .string(template))) }
        return keys
    }

    // MARK: Tokens

    private mutating func fill(_ vocabulary: JSONObject, added: [JSONValue], rows: Int) throws {
        tokens = (0..<rows).map { "[PAD\($0)]" }
        types = Array(repeating: 5, count: rows)
        for (token, value) in vocabulary.members {
            guard let id = value.int, (0..<rows).contains(id) else { throw QuantiseError("token '\(token)' has an id outside the embedding's \(rows) rows") }
            tokens[id] = token
            types[id] = kind == "llama" && Self.isByte(token) ? 6 : 1
        }
        for entry in added {
            guard let id = entry["id"]?.int, let content = entry["content"]?.string else { continue }
            guard (0..<rows).contains(id) else { throw QuantiseError("token '\(content)' has an id outside the embedding's \(rows) rows") }
            tokens[id] = content
            types[id] = content == "<unk>" && kind == "llama" ? 2 : entry["special"]?.bool == true ? 3 : 4
        }
    }

    /// `<0x0A>`.
    private static func isByte(_ token: String) -> Bool {
        token.utf8.count == 6 && token.hasPrefix("<0x") && token.hasSuffix(">") && UInt8(token.dropFirst(3).dropLast(), radix: 16) != nil
    }

    private mutating func readMerges(_ list: [JSONValue]) throws {
        for merge in list {
            if let text = merge.string {
                merges.append(text)
            } else if let pair = merge.array, pair.count == 2, let left = pair[0].string, let right = pair[1].string {
                guard !left.contains(" "), !right.contains(" ") else { throw QuantiseError("merges of pieces with spaces cannot be written as GGUF") }
                merges.append("\(left) \(right)")
            } else {
                throw QuantiseError("the tokenizer's merge \(merge.text) is not understood")
            }
        }
    }

    /// SentencePiece joins the neighbours whose piece has the best score: the sooner a piece is first made, the better.
    private mutating func scorePieces(_ vocabulary: JSONObject) {
        scores = Array(repeating: 0, count: tokens.count)
        var rank: [ByteKey: Int] = [:]
        for (index, merge) in merges.enumerated() {
            let piece = ByteKey(merge.split(separator: " ", maxSplits: 1).joined())
            if rank[piece] == nil { rank[piece] = index }
        }
        for id in tokens.indices where types[id] == 1 { scores[id] = -Float(rank[ByteKey(tokens[id])] ?? merges.count) }
    }

    // MARK: Special tokens

    private mutating func readSpecials(_ config: ConfigReader) throws {
        func id(_ token: String?, _ key: String) throws -> Int32? {
            if let token, let id = tokenizer.id(of: token) { return id }
            return try config.ints(optional: key)?.first.flatMap { Int32(exactly: $0) }
        }
        bos = try id(text.specialTokens.bos, "bos_token_id")
        eos = try id(text.specialTokens.eos, "eos_token_id")
        unknown = text.specialTokens.unknown.flatMap { tokenizer.id(of: $0) }
        padding = try id(text.specialTokens.padding, "pad_token_id")
        let framed = try tokenizer.encode("a", addSpecialTokens: true)
        addsBOS = bos != nil && framed.first == bos
        addsEOS = eos != nil && framed.last == eos
    }

    private func prependsSpace(_ json: JSONValue) -> Bool {
        let plain = try? tokenizer.encode("a", addSpecialTokens: false)
        return plain == (try? tokenizer.encode(" a", addSpecialTokens: false)) || json["normalizer"]?.text.contains("Prepend") == true
    }

    // MARK: Splitting

    private static let names = [
        "llama-bpe", "qwen2", "smollm", "gpt-2", "tekken", "gpt-4o", "deepseek-v3", "deepseek-coder", "deepseek-llm", "starcoder", "command-r", "dbrx",
        "stablelm2", "falcon", "default",
    ]

    /// The first name whose tokens are the original's on every sample.
    private func splitting() throws -> String {
        if kind == "llama" {
            guard try agrees("default") else { throw QuantiseError("a SentencePiece vocabulary in GGUF would not give this tokenizer's tokens") }
            return "default"
        }
        for name in Self.names where try agrees(name) { return name }
        throw QuantiseError("no splitting that GGUF has a name for gives this tokenizer's tokens; use a format in the hub's layout")
    }

    private func agrees(_ name: String) throws -> Bool {
        var vocabulary = Tokenizers.GGUFVocabulary(model: kind, pre: kind == "llama" ? "" : name, tokens: tokens.map { Array($0.utf8) })
        vocabulary.tokenTypes = types
        vocabulary.scores = scores
        vocabulary.merges = kind == "gpt2" ? merges.map { Array($0.utf8) } : []
        (vocabulary.bos, vocabulary.eos, vocabulary.unknown) = (bos, eos, unknown)
        (vocabulary.addBOS, vocabulary.addEOS, vocabulary.addSpacePrefix) = (addsBOS, addsEOS, addsSpace)
        let candidate = try Tokenizer(gguf: vocabulary)
        return try Self.samples.allSatisfy {
            try candidate.encode($0, addSpecialTokens: true) == tokenizer.encode($0, addSpecialTokens: true)
        }
    }

    /// Texts in which the known splittings differ.
    private static let samples = [
        "Hello world! It's 2026, we'll see what they've DONE; I'd say 12345678 times.\n\n\tTabs  and   spaces \r\n end ",
        "def f(x):\n    return x**2 + 3.14159 # ünïcödé\n\n\n", "你好，世界。今天是2026年。 こんにちは、世界！ 안녕하세요", "¿Qué tal? Ça va… naïve Straße ÉCOLE écoles",
        "🙂🚀 x=1;y=22;z=333;w=4444 $$$ ---- ==>", "Привет, мир! 123 عربى हिन्दी", "I'M YOU'RE it'S 'tis  don't\t\t1 22  333 \n \n", "CamelCaseHTTPServer snake_case a.b/c?d=e&f",
    ]
}

extension ConfigReader {
    /// `generation_config.json` of a folder; nil where there is none.
    static func generation(_ folder: String) throws -> ConfigReader? {
        let path = "\(folder)/generation_config.json"
        guard (try? MappedFile(path: path)) != nil else { return nil }
        return try ConfigReader(file: path)
    }
}
