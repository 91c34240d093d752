package import JSON

/// What one chunk says about one choice.
package struct ChoiceDelta: Sendable {
    package var index: Int
    /// Valid UTF-8.
    package var text: [UInt8] = []
    /// nil: not asked for.
    package var scored: [ScoredToken]?
    /// nil: not asked for.
    package var tokenIDs: [Int32]?
    /// On the first chunk, where asked for.
    package var promptTokenIDs: [Int32]?
    package var end: ChoiceEnd?
    package var usage: Usage?

    package init(index: Int) { self.index = index }

    /// Empties what a next chunk fills again; lists that were asked for stay lists.
    package mutating func clear() {
        text.removeAll(keepingCapacity: true)
        scored?.removeAll(keepingCapacity: true)
        tokenIDs?.removeAll(keepingCapacity: true)
        promptTokenIDs = nil
    }
}

/// A finished choice of a reply that is not streamed.
package struct ChoiceResult: Sendable {
    package var index: Int
    package var text: [UInt8]
    package var scored: [ScoredToken]?
    package var tokenIDs: [Int32]?
    package var end: ChoiceEnd
    package var promptTokenIDs: [Int32]?
    package var promptLogprobs: [ScoredToken]?

    package init(
        index: Int, text: [UInt8], scored: [ScoredToken]?, tokenIDs: [Int32]?, end: ChoiceEnd, promptTokenIDs: [Int32]?,
        promptLogprobs: [ScoredToken]?
    ) {
        self.index = index
        self.text = text
        self.scored = scored
        self.tokenIDs = tokenIDs
        self.end = end
        self.promptTokenIDs = promptTokenIDs
        self.promptLogprobs = promptLogprobs
    }
}

/// How replies are written: the events of a stream, and the whole reply.
package protocol ReplyWriter: Sendable {
    /// Appends the events that open a choice (chat's role chunk).
    func opening(of index: Int, promptTokenIDs: [Int32]?, promptText: String?, usage: Usage?, into writer: inout JSONWriter)
    func chunk(_ delta: borrowing ChoiceDelta, into writer: inout JSONWriter)
    /// The chunk with no choices.
    func usageChunk(_ usage: Usage, into writer: inout JSONWriter)
    func reply(_ choices: [ChoiceResult], usage: Usage, promptText: String?, into writer: inout JSONWriter)
    /// The stream's last event.
    func done(into writer: inout JSONWriter)
    /// An error in a stream that has begun; `done` follows.
    func failure(_ error: APIError, into writer: inout JSONWriter)
}

extension ReplyWriter {
    package func done(into writer: inout JSONWriter) { writer.doneEvent() }
    package func failure(_ error: APIError, into writer: inout JSONWriter) { writer.errorEvent(error) }
}

extension JSONWriter {
    /// An error in a stream that has begun.
    package mutating func errorEvent(_ error: APIError) {
        raw("data: ")
        error.write(into: &self)
        raw("\n\n")
    }

    package mutating func doneEvent() { raw("data: [DONE]\n\n") }
    /// A comment that keeps intermediaries from closing an idle stream.
    package mutating func keepAliveEvent() { raw(": keep-alive\n\n") }
}
