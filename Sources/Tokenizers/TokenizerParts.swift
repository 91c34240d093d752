/// The fixed parts of a tokenizer, whatever file they came from.
struct TokenizerParts: Sendable {
    var model: Model
    var pieces: PieceTable
    /// Pieces are raw bytes: GPT-2's alphabet was undone when they were read.
    var isRaw = false
    /// Pieces of a raw vocabulary that are not in the alphabet, which no text leads to; by id, and their ids.
    var unreachable: [Int32: [UInt8]] = [:]
    var normalizer: Normalizer?
    var preTokenizer = PreTokenizer()
    var postProcessor: PostProcessor?
    var decoder: Decoder
    var plan: DecoderPlan?
    var added: [AddedToken] = []

    private(set) var addedByID: [Int32: Int] = [:]
    /// Normalised contents where they differ, which decoding shows.
    private var normalizedContents: [Int32: [UInt8]] = [:]
    private var rawMatcher: AddedTokenMatcher?
    private var normalizedMatcher: AddedTokenMatcher?
    private(set) var vocabularySize = 0, tokenCount = 0
    /// Whether the normalizer may move the start of a text under a pre-tokenizer that asks for it.
    private var needsOrigin = false
    /// Decoded bytes of added tokens, as `plan` wants its pieces.
    private var addedPieces: [Int32: [UInt8]] = [:]
    /// By id: 1 for added tokens, 2 for special ones, so that most tokens need no look-up.
    private var flags = Storage<UInt8>(repeating: 0, count: 0)

    init(model: Model, pieces: PieceTable, decoder: Decoder) {
        self.model = model
        self.pieces = pieces
        self.decoder = decoder
    }

    /// Works out what follows from the fields; the last step of loading.
    mutating func finish() throws(TokenizerError) {
        plan = DecoderPlan(decoder)
        needsOrigin = preTokenizer.asksForOrigin && normalizer != nil
        var raw: [(bytes: [UInt8], token: Int)] = [], normalized: [(bytes: [UInt8], token: Int)] = []
        for (index, token) in added.enumerated() {
            addedByID[token.id] = index
        }
        for (index, token) in added.enumerated() where addedByID[token.id] == index {
            var content = Array(token.content.utf8)
            if token.normalized {
                if let normalizer {
                    var text = content.withUnsafeBufferPointer { WorkText($0, origin: 0, tracked: false) }
                    try normalizer.apply(&text)
                    if text.bytes != content { normalizedContents[token.id] = text.bytes }
                    content = text.bytes
                }
                normalized.append((content, index))
            } else {
                raw.append((content, index))
            }
        }
        rawMatcher = AddedTokenMatcher(raw, tokens: added)
        normalizedMatcher = AddedTokenMatcher(normalized, tokens: added)
        for token in added {
            let content = normalizedContents[token.id] ?? Array(token.content.utf8)
            addedPieces[token.id] = plan?.joining == .byteLevel ? Decoder.alphabetBytes(content) : content
        }
        let outside = added.filter { token in
            id(inModel: Array(token.content.utf8)) == nil
        }
        let present = (0..<pieces.count).reduce(0) { $0 + (pieces.contains($1) ? 1 : 0) }
        tokenCount = present + unreachable.count + outside.count
        let largest = max(addedByID.keys.max() ?? -1, unreachable.keys.max() ?? -1)
        vocabularySize = max(pieces.count, Int(largest) + 1)
        flags = Storage(repeating: 0, count: vocabularySize)
        for token in added { flags.base[Int(token.id)] |= token.special ? 3 : 1 }
    }

    // MARK: Vocabulary

    @inline(__always) func isSpecial(_ id: Int32) -> Bool { id >= 0 && Int(id) < flags.count && flags[Int(id)] & 2 != 0 }

    /// The token as the file writes it; normalised added tokens as they look normalised, which is what decoders get.
    func writtenPiece(_ id: Int32) -> [UInt8]? {
        if let index = addedByID[id] { return normalizedContents[id] ?? Array(added[index].content.utf8) }
        if let piece = unreachable[id] { return piece }
        guard pieces.contains(Int(id)) else { return nil }
        let piece = pieces[Int(id)]
        guard isRaw else { return Array(piece) }
        var written: [UInt8] = []
        for byte in piece { ByteAlphabet.encode(byte, into: &written) }
        return written
    }

    func id(ofWritten piece: [UInt8]) -> Int32? {
        added.first { $0.content.utf8.elementsEqual(piece) }?.id ?? id(inModel: piece)
    }

    private func id(inModel piece: [UInt8]) -> Int32? {
        guard isRaw else { return pieces.find(piece) }
        var raw: [UInt8] = []
        if piece.withUnsafeBufferPointer({ ByteAlphabet.decode($0, into: &raw) }) { return pieces.find(raw) }
        return unreachable.first { $0.value == piece }?.key
    }

    /// Lends the piece as `plan` wants it: bytes for byte-level decoders, else as written. Nothing happens for unknown ids.
    @inline(__always) func withPiece(_ id: Int32, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        guard id >= 0, Int(id) < flags.count else { return }
        if flags[Int(id)] & 1 != 0, let piece = addedPieces[id] { return piece.withUnsafeBufferPointer(body) }
        let bytesWanted = plan?.joining == .byteLevel
        if pieces.contains(Int(id)) {
            if isRaw == bytesWanted { return body(pieces[Int(id)]) }
            let written = writtenPiece(id) ?? []
            return (bytesWanted ? Decoder.alphabetBytes(written) : written).withUnsafeBufferPointer(body)
        }
        if let piece = unreachable[id] { piece.withUnsafeBufferPointer(body) }
    }

    // MARK: Encoding

    /// Runs `body` on the stretches between added tokens that are looked for in the text as it is, and `token` on those.
    @inline(__always)
    private func stretches(
        _ text: UnsafeBufferPointer<UInt8>, _ matcher: AddedTokenMatcher?, _ parsesSpecial: Bool,
        token: (AddedToken, Range<Int>) -> Void, body: (Range<Int>) throws(TokenizerError) -> Void
    ) throws(TokenizerError) {
        var start = 0
        for match in matcher?.matches(in: text, skippingSpecial: !parsesSpecial) ?? [] {
            if start < match.range.lowerBound { try body(start..<match.range.lowerBound) }
            token(added[match.token], match.range)
            start = match.range.upperBound
        }
        if start < text.count { try body(start..<text.count) }
    }

    func encode(
        _ text: UnsafeBufferPointer<UInt8>, _ state: EncoderState, _ parsesSpecial: Bool, into ids: inout IDBuffer
    ) throws(TokenizerError) {
        // An inout of a type that cannot be copied may not be captured twice; the matches are walked by hand.
        var start = 0
        for match in rawMatcher?.matches(in: text, skippingSpecial: !parsesSpecial) ?? [] {
            if start < match.range.lowerBound {
                try encodeStretch(UnsafeBufferPointer(rebasing: text[start..<match.range.lowerBound]), start, false, state, parsesSpecial, into: &ids)
            }
            ids.append(added[match.token].id)
            start = match.range.upperBound
        }
        if start < text.count {
            try encodeStretch(UnsafeBufferPointer(rebasing: text[start...]), start, true, state, parsesSpecial, into: &ids)
        }
    }

    /// Whether the normalizer surely leaves the text as it is.
    private func leavesAlone(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        func leaves(_ normalizer: Normalizer) -> Bool {
            switch normalizer {
            case .form(let form): form.isCertain(for: text)
            case .sequence(let steps): steps.allSatisfy(leaves)
            default: false
            }
        }
        return normalizer.map(leaves) ?? true
    }

    private func encodeStretch(
        _ text: UnsafeBufferPointer<UInt8>, _ origin: Int, _ reachesEnd: Bool, _ state: EncoderState, _ parsesSpecial: Bool, into ids: inout IDBuffer
    ) throws(TokenizerError) {
        if normalizedMatcher == nil, preTokenizer.onlySplits, leavesAlone(text) {
            try preTokenizer.split(text, parts: &state.ranges, spare: &state.spareRanges)
            return try encodeWords(text, state, into: &ids)
        }
        var work = WorkText(text, origin: origin, tracked: needsOrigin)
        work.reachesEnd = reachesEnd
        if let normalizer { try normalizer.apply(&work) }
        guard let normalizedMatcher else { return try encodeWork(&work, state, into: &ids) }
        let matches = work.bytes.withUnsafeBufferPointer { normalizedMatcher.matches(in: $0, skippingSpecial: !parsesSpecial) }
        if matches.isEmpty { return try encodeWork(&work, state, into: &ids) }
        var start = 0
        for match in matches {
            if start < match.range.lowerBound {
                var part = work.slice(start..<match.range.lowerBound)
                try encodeWork(&part, state, into: &ids)
            }
            ids.append(added[match.token].id)
            start = match.range.upperBound
        }
        if start < work.bytes.count {
            var part = work.slice(start..<work.bytes.count)
            try encodeWork(&part, state, into: &ids)
        }
    }

    private func encodeWork(_ work: inout WorkText, _ state: EncoderState, into ids: inout IDBuffer) throws(TokenizerError) {
        try preTokenizer.run(&work, parts: &state.ranges, spare: &state.spareRanges)
        let bytes = work.bytes
        // `withUnsafeBufferPointer` cannot lend to a closure that also writes `ids`; the array outlives the pointer's use here.
        let copy = Storage(bytes)
        try encodeWords(copy.buffer, state, into: &ids)
        withExtendedLifetime(copy) {}
    }

    /// Appends the ids of the words `state.ranges` of `text`.
    private func encodeWords(_ text: UnsafeBufferPointer<UInt8>, _ state: EncoderState, into ids: inout IDBuffer) throws(TokenizerError) {
        guard let base = text.baseAddress else { return }
        let cuts = model.cuts, cache = state.cache
        for range in state.ranges {
            var start = range.lowerBound
            while start < range.upperBound {
                let end = cuts?.end(base, from: start, to: range.upperBound) ?? range.upperBound
                let word = base + start, size = end &- start
                start = end
                if size > WordCache.longestWord {
                    state.tokens.removeAll(keepingCapacity: true)
                    try model.tokenize(UnsafeBufferPointer(start: word, count: size), state.model, into: &state.tokens)
                    for token in state.tokens { ids.append(token.id) }
                    continue
                }
                let key = cache.key(word, size)
                if cache.find(key, word, size, into: &ids) { continue }
                state.tokens.removeAll(keepingCapacity: true)
                try model.tokenize(UnsafeBufferPointer(start: word, count: size), state.model, into: &state.tokens)
                for token in state.tokens { ids.append(token.id) }
                cache.insert(key, word, size, state.tokens)
            }
        }
    }

    // MARK: Encoding with offsets

    func encodeTracked(
        _ text: UnsafeBufferPointer<UInt8>, _ state: EncoderState, _ parsesSpecial: Bool, into encoding: inout Encoding,
        edges: inout [TokenEdges]
    ) throws(TokenizerError) {
        let trims = postProcessor?.trimsOffsets ?? false
        func addToken(_ token: AddedToken, _ bytes: ArraySlice<UInt8>, _ offsets: Range<Int>) {
            encoding.ids.append(token.id)
            encoding.offsets.append(offsets)
            if trims { edges.append(Self.edges(bytes)) }
        }
        func addWords(_ work: inout WorkText) throws(TokenizerError) {
            try preTokenizer.run(&work, parts: &state.ranges, spare: &state.spareRanges)
            let copy = Storage(work.bytes)
            for range in state.ranges {
                state.tokens.removeAll(keepingCapacity: true)
                try model.tokenize(UnsafeBufferPointer(rebasing: copy.buffer[range]), state.model, into: &state.tokens)
                for token in state.tokens {
                    encoding.ids.append(token.id)
                    let start = range.lowerBound + Int(token.start), end = range.lowerBound + Int(token.end)
                    if start < end {
                        let low = Int(work.spans[start].start), high = Int(work.spans[end - 1].end)
                        encoding.offsets.append(low..<max(low, high))
                    } else {
                        let place = Int(work.spans[range.lowerBound].start)
                        encoding.offsets.append(place + Int(token.start)..<place + Int(token.start))
                    }
                    if trims { edges.append(self.edges(of: token.id)) }
                }
            }
            withExtendedLifetime(copy) {}
        }
        try stretches(text, rawMatcher, parsesSpecial) { token, range in
            addToken(token, Array(text[range])[...], range)
        } body: { range throws(TokenizerError) in
            var work = WorkText(UnsafeBufferPointer(rebasing: text[range]), origin: range.lowerBound, tracked: true)
            work.reachesEnd = range.upperBound == text.count
            if let normalizer { try normalizer.apply(&work) }
            let matches = normalizedMatcher.map { matcher in
                work.bytes.withUnsafeBufferPointer { matcher.matches(in: $0, skippingSpecial: !parsesSpecial) }
            } ?? []
            if matches.isEmpty { return try addWords(&work) }
            var start = 0
            for match in matches {
                if start < match.range.lowerBound {
                    var part = work.slice(start..<match.range.lowerBound)
                    try addWords(&part)
                }
                let place = match.range
                let low = place.isEmpty ? 0 : Int(work.spans[place.lowerBound].start)
                let high = place.isEmpty ? 0 : Int(work.spans[place.upperBound - 1].end)
                addToken(added[match.token], work.bytes[place], low..<max(low, high))
                start = place.upperBound
            }
            if start < work.bytes.count {
                var part = work.slice(start..<work.bytes.count)
                try addWords(&part)
            }
        }
    }

    private func edges(of id: Int32) -> TokenEdges {
        guard isRaw, pieces.contains(Int(id)) else { return Self.edges((writtenPiece(id) ?? [])[...]) }
        let piece = pieces[Int(id)]
        return TokenEdges(leading: piece.prefix { $0 == 0x20 }.count, trailing: piece.reversed().prefix { $0 == 0x20 }.count)
    }

    /// Characters that are white space, or `Ġ`.
    private static func edges(_ piece: ArraySlice<UInt8>) -> TokenEdges {
        let scalars = Array(String(decoding: piece, as: UTF8.self).unicodeScalars)
        let isSpace = { (scalar: Unicode.Scalar) in scalar.value == 0x120 || ScalarClass.of(scalar.value).has(.whiteSpace) }
        return TokenEdges(leading: scalars.prefix(while: isSpace).count, trailing: scalars.reversed().prefix(while: isSpace).count)
    }
}

extension WorkText {
    /// Part of the text, on its own.
    func slice(_ range: Range<Int>) -> WorkText {
        var part = WorkText(UnsafeBufferPointer(start: nil, count: 0), origin: origin + (isTracked ? 0 : range.lowerBound), tracked: isTracked)
        part.bytes = Array(bytes[range])
        if isTracked { part.spans = Array(spans[range]) }
        return part
    }
}
