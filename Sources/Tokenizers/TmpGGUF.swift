extension Tokenizer { package convenience init(gguf: GGUFVocabulary) throws(TokenizerError) { throw .unsupported(part: "gguf", name: "not yet") } }
