/// The tokenizer part of a GGUF file's metadata, as the Weights room hands it over (keys `tokenizer.ggml.*`).
///
/// Every optional is nil where the file has no such key; the tokenizer then takes llama.cpp's default for the model kind.
package struct GGUFVocabulary: Sendable {
    /// `tokenizer.ggml.model`: "gpt2", "llama", "bert", "t5", "gemma4", "rwkv", …
    package var model: String
    /// `tokenizer.ggml.pre`: "llama-bpe", "qwen2", "smollm", …; empty where absent.
    package var pre: String
    /// `tokenizer.ggml.tokens`, by id. The bytes as they are in the file, which need not be valid UTF-8.
    package var tokens: [[UInt8]]
    /// `tokenizer.ggml.scores`, by id; empty where absent.
    package var scores: [Float] = []
    /// `tokenizer.ggml.token_type`, by id (`TokenType` raw values); empty where absent.
    package var tokenTypes: [Int32] = []
    /// `tokenizer.ggml.merges`: two pieces with one space between.
    package var merges: [[UInt8]] = []
    /// `tokenizer.ggml.bos_token_id` and its like.
    package var bos: Int32?, eos: Int32?, unknown: Int32?, separator: Int32?, padding: Int32?, mask: Int32?
    /// `tokenizer.ggml.add_bos_token` and its like.
    package var addBOS: Bool?, addEOS: Bool?, addSeparator: Bool?
    package var addSpacePrefix: Bool?, removeExtraWhitespaces: Bool?
    /// `tokenizer.ggml.normalizer.lowercase` and `.strip_accents` ("bert").
    package var lowercase: Bool?, stripAccents: Bool?
    /// `tokenizer.ggml.precompiled_charsmap`; empty where absent.
    package var precompiledCharsmap: [UInt8] = []
    /// `general.name` and `general.architecture`: a few models need flags that only their name tells (Phi-3: `rstrip`).
    package var modelName = "", architecture = ""

    package enum TokenType: Int32, Sendable {
        case undefined = 0, normal, unknown, control, userDefined, unused, byte
    }

    package init(model: String, pre: String = "", tokens: [[UInt8]]) {
        self.model = model
        self.pre = pre
        self.tokens = tokens
    }
}
