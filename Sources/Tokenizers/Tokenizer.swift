internal import Synchronization

/// Text to token ids and back, as the Hugging Face `tokenizers` library does it, ids and offsets alike.
///
/// Loaded from `tokenizer.json`, a SentencePiece model or a GGUF file's metadata. Safe to share between threads: everything is fixed
/// but a pool of scratch memory, of which each call borrows one.
package final class Tokenizer: Sendable {
    let parts: TokenizerParts
    private let pool = Mutex<[EncoderState]>([])
    /// Ids that the post-processor puts around a single text, where it does nothing else.
    let frame: (before: [Int32], after: [Int32])?

    init(_ parts: TokenizerParts) {
        self.parts = parts
        frame = Self.frame(of: parts.postProcessor)
    }

    // MARK: Encoding

    /// Ids of `text`.
    /// - Parameters:
    ///   - addSpecialTokens: whether the post-processor adds its tokens (BOS and the like).
    ///   - parsesSpecialTokens: whether special tokens in the text count as such; if not, they are encoded as any text.
    package func encode(_ text: String, addSpecialTokens: Bool, parsesSpecialTokens: Bool = true) throws(TokenizerError) -> [Int32] {
        guard let frame else {
            let encoding = try encodeWithOffsets(text, addSpecialTokens: addSpecialTokens, parsesSpecialTokens: parsesSpecialTokens)
            return encoding.ids
        }
        let state = borrow()
        defer { giveBack(state) }
        var ids = IDBuffer(capacity: text.utf8.count / 3 + 16)
        if addSpecialTokens { for id in frame.before { ids.append(id) } }
        var copy = text
        var failure: TokenizerError?
        copy.withUTF8 { bytes in
            do throws(TokenizerError) {
                try parts.encode(bytes, state, parsesSpecialTokens, into: &ids)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        if addSpecialTokens { for id in frame.after { ids.append(id) } }
        return ids.array
    }

    /// Ids, segment numbers and byte offsets of `text`.
    package func encodeWithOffsets(
        _ text: String, addSpecialTokens: Bool, parsesSpecialTokens: Bool = true
    ) throws(TokenizerError) -> Encoding {
        try encodeParts([text], addSpecialTokens: addSpecialTokens, parsesSpecialTokens: parsesSpecialTokens)
    }

    /// Two texts as one input, for rerankers and classifiers. Offsets count in each token's own text.
    package func encodePair(
        _ first: String, _ second: String, addSpecialTokens: Bool, parsesSpecialTokens: Bool = true
    ) throws(TokenizerError) -> Encoding {
        try encodeParts([first, second], addSpecialTokens: addSpecialTokens, parsesSpecialTokens: parsesSpecialTokens)
    }

    private func encodeParts(_ texts: [String], addSpecialTokens: Bool, parsesSpecialTokens: Bool) throws(TokenizerError) -> Encoding {
        let state = borrow()
        defer { giveBack(state) }
        var encodings: [Encoding] = [], edges: [[TokenEdges]] = []
        for (place, text) in texts.enumerated() {
            var copy = text
            var encoding = Encoding(), found: [TokenEdges] = []
            var failure: TokenizerError?
            copy.withUTF8 { bytes in
                do throws(TokenizerError) {
                    try parts.encodeTracked(bytes, state, parsesSpecialTokens, into: &encoding, edges: &found)
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            encoding.typeIDs = Array(repeating: Int32(place), count: encoding.count)
            encodings.append(encoding)
            edges.append(found)
        }
        if let postProcessor = parts.postProcessor {
            // Trimming counts in characters, as the reference's offsets do.
            let rulers = postProcessor.trimsOffsets ? texts.map { CharacterRuler($0) } : []
            for (place, ruler) in rulers.enumerated() { encodings[place].offsets = encodings[place].offsets.map { ruler.characters($0) } }
            encodings = postProcessor.process(encodings, special: addSpecialTokens) { part, index in
                guard part < edges.count, index < edges[part].count else { return (0, 0) }
                return (edges[part][index].leading, edges[part][index].trailing)
            }
            if !rulers.isEmpty {
                // The texts come out in the order in which the template names them; added tokens lie at 0..<0 of any.
                let sources = postProcessor.sources(of: texts.count, special: addSpecialTokens)
                for place in encodings.indices {
                    let ruler = rulers[min(Int(place < sources.count ? max(sources[place], 0) : 0), rulers.count - 1)]
                    encodings[place].offsets = encodings[place].offsets.map { ruler.bytes($0) }
                }
            }
        }
        return encodings.dropFirst().reduce(into: encodings.first ?? Encoding()) { whole, part in
            whole.ids += part.ids
            whole.typeIDs += part.typeIDs
            whole.offsets += part.offsets
        }
    }

    /// What stands before and after a single text; nil where the post-processor does more to ids than that.
    private static func frame(of postProcessor: PostProcessor?) -> (before: [Int32], after: [Int32])? {
        guard let postProcessor else { return ([], []) }
        var probe = Encoding()
        probe.ids = [.min]
        probe.typeIDs = [0]
        probe.offsets = [0..<0]
        let ids = postProcessor.process([probe], special: true) { _, _ in (0, 0) }.flatMap(\.ids)
        guard let place = ids.firstIndex(of: .min), ids.lastIndex(of: .min) == place else { return nil }
        let bare = postProcessor.process([probe], special: false) { _, _ in (0, 0) }.flatMap(\.ids)
        return bare == [.min] ? (Array(ids[..<place]), Array(ids[(place + 1)...])) : nil
    }

    private func borrow() -> EncoderState { pool.withLock { $0.popLast() } ?? EncoderState() }

    private func giveBack(_ state: EncoderState) {
        // A cache for each thread that encodes at the same time, up to a limit.
        pool.withLock { if $0.count < 16 { $0.append(state) } }
    }

    // MARK: Vocabulary

    /// Largest id plus one, added tokens included.
    package var vocabularySize: Int { parts.vocabularySize }
    /// Number of tokens that exist, added ones included; ids may have holes.
    package var tokenCount: Int { parts.tokenCount }
    package var addedTokens: [AddedToken] { parts.added }

    /// The token as the vocabulary writes it (`Ġthe`, `▁the`, `<0x0A>`); nil where there is none.
    package func token(of id: Int32) -> String? {
        parts.writtenPiece(id).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Id of a token, written as the vocabulary writes it.
    package func id(of token: String) -> Int32? { parts.id(ofWritten: Array(token.utf8)) }

    package func isSpecial(_ id: Int32) -> Bool { parts.isSpecial(id) }

    // MARK: Decoding

    /// Text of `ids`. Ids that the vocabulary does not know are left out.
    package func decode(_ ids: [Int32], skipSpecialTokens: Bool) -> String {
        if let plan = parts.plan {
            var decoder = StreamDecoder(plan, showsRunsEarly: false)
            for id in ids where !(skipSpecialTokens && parts.isSpecial(id)) { parts.withPiece(id) { decoder.append($0) } }
            decoder.finish()
            return String(decoding: decoder.takeReady(), as: UTF8.self)
        }
        let pieces = ids.filter { !(skipSpecialTokens && parts.isSpecial($0)) }.compactMap { parts.writtenPiece($0) }
        return String(decoding: parts.decoder.apply(pieces).joined(), as: UTF8.self)
    }

    /// The bytes that one token adds in the middle of a text; half characters are possible.
    package func bytes(of id: Int32) -> [UInt8] {
        guard let plan = parts.plan else { return parts.writtenPiece(id).map { Array(parts.decoder.apply([$0]).joined()) } ?? [] }
        var bytes: [UInt8] = []
        parts.withPiece(id) { piece in
            if plan.joining == .byteFallback, let byte = Decoder.fallbackByte(piece) {
                bytes = [byte]
            } else {
                bytes = Array(piece)
                if plan.opensMarkers { bytes = Decoder.replacing(WordCuts.marker, in: bytes, with: [0x20]) }
                for step in plan.before + plan.after { bytes = step.map(bytes, isFirst: false) }
            }
        }
        return bytes
    }

    /// The text of one token in the middle of a text, U+FFFD for half characters.
    package func text(of id: Int32) -> String { String(decoding: bytes(of: id), as: UTF8.self) }

    /// A detokeniser that has `prefix` behind it, the text of which was already shown.
    package func makeDetokenizer(prefix: [Int32] = [], skipSpecialTokens: Bool) -> IncrementalDetokenizer {
        IncrementalDetokenizer(self, prefix: prefix, skipSpecialTokens: skipSpecialTokens)
    }
}

/// What one call of an encoding writes to: caches and buffers. Owned by one call at a time.
final class EncoderState: @unchecked Sendable {
    let cache = WordCache()
    let model = ModelScratch()
    var tokens: [WordToken] = []
    var ranges: [Range<Int>] = []
    var spareRanges: [Range<Int>] = []
}

/// White-space characters at the ends of a token, which offset trimming takes off.
struct TokenEdges {
    var leading = 0, trailing = 0
}

/// Translates between byte and character offsets of a text.
struct CharacterRuler {
    private var characterOfByte: [Int] = []
    private var byteOfCharacter: [Int] = []

    init(_ text: String) {
        var byte = 0
        for scalar in text.unicodeScalars {
            let size = UTF8Text.size(scalar.value)
            for _ in 0..<size { characterOfByte.append(byteOfCharacter.count) }
            byteOfCharacter.append(byte)
            byte += size
        }
        characterOfByte.append(byteOfCharacter.count)
        byteOfCharacter.append(byte)
    }

    func characters(_ range: Range<Int>) -> Range<Int> {
        let last = characterOfByte.count - 1
        let start = characterOfByte[min(range.lowerBound, last)]
        return start..<max(start, characterOfByte[min(range.upperBound, last)])
    }

    func bytes(_ range: Range<Int>) -> Range<Int> {
        let last = byteOfCharacter.count - 1
        let start = byteOfCharacter[min(range.lowerBound, last)]
        return start..<max(start, byteOfCharacter[min(range.upperBound, last)])
    }
}
