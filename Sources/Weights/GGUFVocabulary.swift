/// What a GGUF file says about its tokenizer, as plain data.
package struct GGUFVocabulary: Sendable {
    /// `tokenizer.ggml.model`: `llama` (SentencePiece with scores), `gpt2` (byte-level BPE), `bert`, `t5`, …
    package var model: String
    /// `tokenizer.ggml.pre`: name of the pre-tokenizer.
    package var pre: String?
    package var tokens: GGUFStrings
    /// One a token, or empty.
    package var scores: [Float]
    /// One a token, or empty: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    package var types: [Int32]
    /// `left right` pairs in order of rank.
    package var merges: GGUFStrings?
    /// All ids are inside the vocabulary.
    package var bos, eos, eot, eom, unknown, separator, padding, mask, classification: Int?
    package var addBOS, addEOS, addSEP, addSpacePrefix, removeExtraWhitespaces: Bool?
    /// SentencePiece's normalisation table.
    package var precompiledCharsmap: [UInt8]?
    package var chatTemplate: String?
    /// `tokenizer.chat_template.NAME`, such as `tool_use`.
    package var namedChatTemplates: [(name: String, template: String)]
}
