/// A token that a model found: its id and its bytes, counted from the start of the word.
struct WordToken: BitwiseCopyable {
    var id: Int32
    var start: Int32, end: Int32
}

/// Turns a word into tokens. Every kind is a function of the word's bytes alone, so results can be kept in a `WordCache`.
enum Model: Sendable {
    case bpe(BPEModel)
    case unigram(UnigramModel)
    case wordPiece(WordPieceModel)
    case wordLevel(WordLevelModel)
    case greedy(GreedyModel)

    /// Appends the tokens of `word`, which is not empty.
    @inline(__always)
    func tokenize(_ word: UnsafeBufferPointer<UInt8>, _ scratch: ModelScratch, into tokens: inout [WordToken]) throws(TokenizerError) {
        switch self {
        case .bpe(let model): try model.tokenize(word, scratch, into: &tokens)
        case .unigram(let model): try model.tokenize(word, scratch, into: &tokens)
        case .wordPiece(let model): try model.tokenize(word, into: &tokens)
        case .wordLevel(let model): try model.tokenize(word, into: &tokens)
        case .greedy(let model): try model.tokenize(word, into: &tokens)
        }
    }

    /// Places where a long word may be cut without changing its tokens; see `WordCuts`.
    var cuts: WordCuts? { if case .bpe(let model) = self { model.cuts } else { nil } }
}

/// Buffers that a model uses again and again; one at a time per encoding.
final class ModelScratch {
    var symbols: [BPESymbol] = []
    var candidates: [MergeCandidate] = []
    var paths: [UnigramPath] = []
}
