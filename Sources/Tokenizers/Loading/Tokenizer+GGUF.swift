extension Tokenizer {
    /// A tokenizer from a GGUF file's metadata: byte-level and plain BPE, SentencePiece BPE ("llama"), WordPiece ("bert"), unigram ("t5")
    /// and RWKV's greedy matching.
    package convenience init(gguf vocabulary: GGUFVocabulary) throws(TokenizerError) {
        let count = vocabulary.tokens.count
        guard count > 0, count <= TokenizerLimits.largestID else {
            throw .malformed(part: "tokenizer.ggml.tokens", reason: "there are \(count) tokens")
        }
        guard vocabulary.tokenTypes.isEmpty || vocabulary.tokenTypes.count == count else {
            throw .malformed(part: "tokenizer.ggml.token_type", reason: "\(vocabulary.tokenTypes.count) types for \(count) tokens")
        }
        guard vocabulary.scores.isEmpty || vocabulary.scores.count == count else {
            throw .malformed(part: "tokenizer.ggml.scores", reason: "\(vocabulary.scores.count) scores for \(count) tokens")
        }
        switch vocabulary.model {
        case "gpt2", "gemma4": self.init(try GGUFLoader(vocabulary).bpe())
        case "llama": self.init(try GGUFLoader(vocabulary).sentencePiece(isUnigram: false))
        case "t5": self.init(try GGUFLoader(vocabulary).sentencePiece(isUnigram: true))
        case "bert": self.init(try GGUFLoader(vocabulary).wordPiece())
        case "rwkv": self.init(try GGUFLoader(vocabulary).greedy())
        default: throw .unsupported(part: "tokenizer.ggml.model", name: vocabulary.model)
        }
    }
}

/// Builds the parts for each kind of GGUF vocabulary.
struct GGUFLoader {
    private let vocabulary: GGUFVocabulary

    init(_ vocabulary: GGUFVocabulary) { self.vocabulary = vocabulary }

    private func type(_ id: Int) -> GGUFVocabulary.TokenType {
        vocabulary.tokenTypes.isEmpty ? .normal : GGUFVocabulary.TokenType(rawValue: vocabulary.tokenTypes[id]) ?? .undefined
    }

    /// A special id, or the default where the file has none, if the vocabulary is that large.
    private func id(_ given: Int32?, or fallback: Int32? = nil) -> Int32? {
        [given, fallback].compactMap { $0 }.first { vocabulary.tokens.indices.contains(Int($0)) }
    }

    private var addedTokens: [AddedToken] {
        let isPhi3 = ["phi-3", "phi3"].contains { vocabulary.modelName.lowercased().contains($0) }
        var tokens: [AddedToken] = []
        for id in vocabulary.tokens.indices where !vocabulary.tokens[id].isEmpty {
            let type = type(id)
            guard type == .control || type == .userDefined || type == .unknown else { continue }
            var token = AddedToken(id: Int32(id), content: String(decoding: vocabulary.tokens[id], as: UTF8.self))
            token.special = type != .userDefined
            token.stripsRight = isPhi3 && !["<unk>", "<s>", "<|endoftext|>"].contains(token.content)
            token.stripsLeft = token.content == "<mask>" && ["jina-v2-de", "jina-v2-es", "jina-v2-code"].contains(vocabulary.pre)
                || token.content == "[MASK]" && vocabulary.modelName.lowercased().contains("modern-bert")
            tokens.append(token)
        }
        return tokens
    }

    // MARK: Byte-pair encoding

    func bpe() throws(TokenizerError) -> TokenizerParts {
        let pre = try GGUFPreTokenizer.named(vocabulary.model == "gemma4" ? "gemma4" : vocabulary.pre)
        let isRaw = !pre.isPlain
        var arena: [UInt8] = [], ranges: [Range<Int>?] = [], unreachable: [Int32: [UInt8]] = [:]
        arena.reserveCapacity(vocabulary.tokens.reduce(0) { $0 + $1.count })
        for (id, token) in vocabulary.tokens.enumerated() {
            let start = arena.count
            switch type(id) {
            case .control, .unknown, .userDefined, .unused:
                // Not made by joining. Control tokens come from the text as added tokens; unused ones have no text at all.
                unreachable[Int32(id)] = type(id) == .unused ? [] : token
                ranges.append(nil)
                continue
            default: break
            }
            if !isRaw {
                arena.append(contentsOf: token)
            } else if !token.withUnsafeBufferPointer({ ByteAlphabet.decode($0, into: &arena) }) {
                unreachable[Int32(id)] = token
                ranges.append(nil)
                continue
            }
            ranges.append(start..<arena.count)
        }
        let pieces = PieceTable(arena: arena, ranges: ranges, keepsFirst: true)
        var options = BPEModel.Options()
        options.isRaw = isRaw
        options.ignoresMerges = pre.ignoresMerges
        options.fallsBackToBytes = !isRaw
        options.takesWholeNewlines = vocabulary.model == "gemma4" || vocabulary.pre == "gemma4"
        var joined: Set<UInt8> = []
        let joining = try joining(pieces, isRaw: isRaw, &joined)
        let canCut = !isRaw && pieces.find(WordCuts.marker) != nil
        let model = BPEModel(pieces: pieces, joining: joining, options: options, cuts: canCut ? WordCuts(joinedBytes: joined) : nil)

        let plainDecoder = Decoder.sequence([.replace(.literal(WordCuts.marker), with: [0x20]), .byteFallback, .fuse])
        var parts = TokenizerParts(model: .bpe(model), pieces: pieces, decoder: isRaw ? .byteLevel : plainDecoder)
        parts.isRaw = isRaw
        parts.unreachable = unreachable
        if !isRaw {
            parts.normalizer = .replace(.literal([0x20]), with: WordCuts.marker)
        } else if pre.composes {
            parts.normalizer = .form(.nfc)
        }
        var steps: [PreTokenizer.Step] = []
        if isRaw, vocabulary.addSpacePrefix == true { steps.append(.prefixSpace) }
        for pattern in pre.patterns {
            steps.append(.split(try ComponentReader.splitter(pattern, .isolated, inverted: false, part: "tokenizer.ggml.pre (\(vocabulary.pre))")))
        }
        parts.preTokenizer = PreTokenizer(steps: steps)
        parts.added = addedTokens
        let bos = id(vocabulary.bos, or: 11), eos = id(vocabulary.eos, or: 11)
        let isGemma = options.takesWholeNewlines
        parts.postProcessor = .framing(
            bos: isGemma || (vocabulary.addBOS ?? pre.addsBOS) ? bos : nil, eos: vocabulary.addEOS ?? false ? eos : nil)
        try parts.finish()
        return parts
    }

    private func joining(_ pieces: PieceTable, isRaw: Bool, _ joined: inout Set<UInt8>) throws(TokenizerError) -> BPEModel.Joining {
        guard !vocabulary.merges.isEmpty else {
            guard vocabulary.pre == "kimi-k2" else { throw .malformed(part: "tokenizer.ggml.merges", reason: "there are none") }
            // Ids are ranks: of the pieces that neighbours spell, the one with the lowest id is made first.
            return .pieces(Storage((0..<UInt32(pieces.count)).map { $0 }))
        }
        var builder = MergeBuilder(
            table: MergeTable(capacity: vocabulary.merges.count), pieces: pieces, isRaw: isRaw, prefix: 0, mostMerges: vocabulary.merges.count)
        for merge in vocabulary.merges {
            guard let space = merge.dropFirst().firstIndex(of: 0x20) else { continue }
            try builder.add(merge, split: space, gap: 1, skipsUnknown: true)
        }
        joined = builder.joinedBytes
        return .merges(builder.table)
    }

    // MARK: SentencePiece

    func sentencePiece(isUnigram: Bool) throws(TokenizerError) -> TokenizerParts {
        var parts = SentencePieceParts()
        parts.pieces = vocabulary.tokens
        parts.scores = vocabulary.scores
        parts.types = vocabulary.tokenTypes
        parts.isUnigram = isUnigram
        parts.unknown = id(vocabulary.unknown, or: isUnigram ? 2 : 0)
        parts.bos = id(vocabulary.bos, or: isUnigram ? nil : 1)
        parts.eos = id(vocabulary.eos, or: isUnigram ? 1 : 2)
        parts.addsBOS = vocabulary.addBOS ?? !isUnigram
        parts.addsEOS = vocabulary.addEOS ?? isUnigram
        parts.normalizer.prefix = vocabulary.addSpacePrefix ?? true ? .always : .never
        parts.normalizer.removesExtraSpaces = isUnigram && (vocabulary.removeExtraWhitespaces ?? false)
        if !vocabulary.precompiledCharsmap.isEmpty {
            parts.normalizer.map = try PrecompiledCharsmap(vocabulary.precompiledCharsmap, part: "tokenizer.ggml.precompiled_charsmap")
        }
        for token in addedTokens where token.stripsRight { parts.rightStripping.insert(token.id) }
        return try parts.makeParts()
    }

    // MARK: WordPiece

    /// The converter wrote `▁word` and `ing` for `word` and `##ing`; here they are written back.
    func wordPiece() throws(TokenizerError) -> TokenizerParts {
        var pieces: [[UInt8]] = []
        for (id, token) in vocabulary.tokens.enumerated() {
            let kind = type(id)
            if kind == .control || kind == .unknown || kind == .userDefined || token.first == UInt8(ascii: "[") && token.last == UInt8(ascii: "]") && token.count > 2 {
                pieces.append(token)
            } else if token.starts(with: WordCuts.marker) {
                pieces.append(Array(token.dropFirst(3)))
            } else {
                pieces.append(Array("##".utf8) + token)
            }
        }
        let table = PieceTable(listing: pieces, keepsFirst: true)
        let unknown = id(vocabulary.unknown, or: 100), start = id(vocabulary.bos, or: 101), end = id(vocabulary.separator, or: vocabulary.eos ?? 102)
        var parts = TokenizerParts(
            model: .wordPiece(WordPieceModel(pieces: table, prefix: Array("##".utf8), unknown: unknown, mostCharacters: 100)), pieces: table,
            decoder: .wordPiece(prefix: Array("##".utf8), cleansUp: true))
        let lowercases = vocabulary.lowercase ?? true
        parts.normalizer = .bert(
            cleans: true, spacesCJK: true, stripsAccents: vocabulary.stripAccents ?? lowercases, lowercases: lowercases)
        parts.preTokenizer = PreTokenizer(steps: [
            .split(.classes(.whiteSpace, .removed)), .split(.classes(.bertPunctuation, .isolated)),
        ])
        parts.added = addedTokens
        // Files without types: the special tokens are known by their ids.
        let listed = Set(parts.added.map(\.id))
        for special in [unknown, start, end, vocabulary.padding, vocabulary.mask].compactMap({ $0 })
        where !listed.contains(special) && table.contains(Int(special)) && !parts.added.contains(where: { $0.id == special }) {
            var token = AddedToken(id: special, content: String(decoding: pieces[Int(special)], as: UTF8.self))
            token.special = true
            parts.added.append(token)
        }
        if let start, let end { parts.postProcessor = .template(
            single: [.special(ids: [start], type: 0), .sequence(second: false, type: 0), .special(ids: [end], type: 0)],
            pair: [
                .special(ids: [start], type: 0), .sequence(second: false, type: 0), .special(ids: [end], type: 0),
                .sequence(second: true, type: 1), .special(ids: [end], type: 1),
            ])
        }
        try parts.finish()
        return parts
    }

    // MARK: Greedy

    func greedy() throws(TokenizerError) -> TokenizerParts {
        let pieces = vocabulary.tokens.map(Self.unescaped)
        guard pieces.reduce(0, { $0 + $1.count }) < 1 << 24 else {
            throw .malformed(part: "tokenizer.ggml.tokens", reason: "the pieces are larger than any vocabulary")
        }
        let table = PieceTable(listing: pieces)
        let trie = ByteTrie(pieces.indices.map { (table[$0], Int32(truncatingIfNeeded: $0)) })
        var parts = TokenizerParts(
            model: .greedy(GreedyModel(trie: trie, unknown: id(vocabulary.unknown))), pieces: table, decoder: .byteLevel)
        parts.isRaw = true
        parts.added = addedTokens
        parts.postProcessor = .framing(
            bos: vocabulary.addBOS ?? false ? id(vocabulary.bos) : nil, eos: vocabulary.addEOS ?? false ? id(vocabulary.eos) : nil)
        try parts.finish()
        return parts
    }

    /// RWKV pieces are written with `\t`, `\n`, `\r`, `\xNN` and `\` before other characters.
    static func unescaped(_ piece: [UInt8]) -> [UInt8] {
        var output: [UInt8] = [], index = 0
        while index < piece.count {
            guard piece[index] == UInt8(ascii: "\\"), index + 1 < piece.count else {
                output.append(piece[index])
                index += 1
                continue
            }
            let letter = piece[index + 1]
            index += 2
            switch letter {
            case UInt8(ascii: "t"): output.append(9)
            case UInt8(ascii: "n"): output.append(10)
            case UInt8(ascii: "r"): output.append(13)
            case UInt8(ascii: "x"):
                let digits = String(decoding: piece[index..<min(index + 2, piece.count)], as: UTF8.self)
                if let byte = UInt8(digits, radix: 16) { output.append(byte) }
                index = min(index + 2, piece.count)
            default: output.append(letter)
            }
        }
        return output
    }
}
