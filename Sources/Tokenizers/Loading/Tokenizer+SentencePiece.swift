extension Tokenizer {
    package convenience init(sentencePiece bytes: UnsafeBufferPointer<UInt8>) throws(TokenizerError) {
        throw .unsupported(part: "file", name: "SentencePiece")
    }
}
