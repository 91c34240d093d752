/// Text of a growing list of ids, piece by piece as it is settled: what was given out is never taken back.
///
/// After each id this is the decoded text without U+FFFD at its end, less what was given out before. A token costs the same however
/// long the text is; only decoders of unusual shapes (CTC, BPEDecoder) decode everything again.
package struct IncrementalDetokenizer: Sendable {
    private let tokenizer: Tokenizer
    private let skipSpecialTokens: Bool
    private var stream: StreamDecoder?
    /// For decoders that cannot be streamed: all ids, and how many bytes of their text were given out.
    private var ids: [Int32] = []
    private var given = 0
    /// Ids of a long prefix that are enough to know the state at its end.
    private static let context = 64

    init(_ tokenizer: Tokenizer, prefix: [Int32], skipSpecialTokens: Bool) {
        self.tokenizer = tokenizer
        self.skipSpecialTokens = skipSpecialTokens
        stream = tokenizer.parts.plan.map { StreamDecoder($0) }
        if stream != nil {
            var start = max(0, prefix.count - Self.context)
            // Not in the middle of a run of byte tokens, and only after some token with a text.
            while start > 0, Decoder.isFallbackByte(tokenizer.parts, prefix[start]) { start -= 1 }
            if start > 0, prefix[..<start].contains(where: { !(skipSpecialTokens && tokenizer.parts.isSpecial($0)) }) {
                stream?.markStarted()
            } else {
                start = 0
            }
            for id in prefix[start...] { push(id) }
            _ = stream?.takeReady()
        } else {
            ids = prefix
            given = Self.settled(wholeText()).count
        }
    }

    private mutating func push(_ id: Int32) {
        if skipSpecialTokens, tokenizer.parts.isSpecial(id) { return }
        tokenizer.parts.withPiece(id) { stream?.append($0) }
    }

    private func wholeText() -> [UInt8] { Array(tokenizer.decode(ids, skipSpecialTokens: skipSpecialTokens).utf8) }

    private static func settled(_ text: [UInt8]) -> ArraySlice<UInt8> {
        var text = text[...]
        while text.suffix(3).elementsEqual([0xEF, 0xBF, 0xBD]) { text.removeLast(3) }
        return text
    }

    /// Adds an id and returns the text that is settled by it, possibly none.
    package mutating func append(_ id: Int32) -> String {
        if stream != nil {
            push(id)
            return String(decoding: stream?.takeReady() ?? [], as: UTF8.self)
        }
        ids.append(id)
        return take(Self.settled(wholeText()))
    }

    /// Ends the text and returns what was held back.
    package mutating func finish() -> String {
        if stream != nil {
            stream?.finish()
            return String(decoding: stream?.takeReady() ?? [], as: UTF8.self)
        }
        return take(wholeText()[...])
    }

    private mutating func take(_ text: ArraySlice<UInt8>) -> String {
        guard text.count > given else { return "" }
        defer { given = text.count }
        return String(decoding: text.dropFirst(given), as: UTF8.self)
    }
}

extension Decoder {
    /// Whether the id is one of byte fallback's tokens.
    static func isFallbackByte(_ parts: TokenizerParts, _ id: Int32) -> Bool {
        guard parts.plan?.joining == .byteFallback else { return false }
        var isByte = false
        parts.withPiece(id) { isByte = fallbackByte($0) != nil }
        return isByte
    }
}
