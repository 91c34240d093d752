internal import Engine
internal import OpenAI
internal import Sampling

/// One choice on its way from token ids to text: detokenises, watches for stop strings, collects what the reply shows.
struct ChoiceState: Sendable {
    /// What has come together since the last `ChoiceDelta.clear`.
    var delta: ChoiceDelta
    /// Tokens so far, EOS and stop tokens included, those after a stop string not.
    private(set) var generated = 0
    /// Tokens in `delta`.
    private(set) var pending = 0
    /// Tokens since the last chunk, where the style asks for a record of them.
    private(set) var untold: [Int32] = []
    /// Whether a chunk has been written.
    private(set) var hasSpoken = false
    /// Whether the last chunk has been written.
    private(set) var isClosed = false

    private let style: ChoiceStyle
    private let text: any TextModel
    private var detokenizer: any Detokenizer
    private var matcher: StopMatcher
    /// Unicode scalars of text so far, held-back text included.
    private var scalars = 0
    private var piece: [UInt8] = []

    init(index: Int, style: ChoiceStyle, text: any TextModel, prompt: GenerationJob.Prompt) {
        self.style = style
        self.text = text
        delta = ChoiceDelta(index: index)
        if style.logprobs != nil { delta.scored = [] }
        if style.returnTokenIDs { delta.tokenIDs = [] }
        detokenizer = text.makeDetokenizer(
            after: prompt.tokenIDs, skipSpecialTokens: style.skipSpecialTokens, spacesBetweenSpecialTokens: style.spacesBetweenSpecialTokens)
        matcher = StopMatcher(stops: style.stops, includeInOutput: style.includeStopInOutput)
    }

    var hasEnded: Bool { delta.end != nil }
    /// Nothing to tell yet: all text is held back and no list was asked for.
    var isSilent: Bool {
        delta.text.isEmpty && delta.end == nil && (delta.scored?.isEmpty ?? true) && (delta.tokenIDs?.isEmpty ?? true)
    }

    /// `delta` has been written.
    mutating func spoke() {
        hasSpoken = true
        isClosed = hasEnded
        pending = 0
        untold.removeAll(keepingCapacity: true)
        delta.clear()
    }

    /// Brings the choice to where it stood after a chunk in another run.
    /// - Parameters:
    ///   - ids: tokens that were told of.
    ///   - hasEcho: whether the prompt was repeated before them.
    ///   - isClosed: whether the end was told of.
    mutating func restore(_ ids: [Int32], hasEcho: Bool, isClosed: Bool) {
        take(ids, [])
        let end = delta.end
        delta.end = nil
        spoke()
        delta.end = end
        hasSpoken = !ids.isEmpty || hasEcho || isClosed
        if isClosed, end == nil { delta.end = ChoiceEnd(reason: "stop") }
        self.isClosed = isClosed
    }

    /// The prompt before the answer. Its text is not searched for stop strings.
    mutating func echo(_ prompt: GenerationJob.Prompt, scored: [ScoredToken]?) {
        guard let echo = prompt.echo else { return }
        delta.text.append(contentsOf: echo)
        scalars += echo.scalarCount
        if let scored { delta.scored?.append(contentsOf: scored) }
    }

    mutating func take(_ ids: [Int32], _ logprobs: [PositionLogprobs]) {
        for (place, id) in ids.enumerated() {
            if hasEnded { return }
            let offset = scalars
            generated += 1
            pending += 1
            if style.keepsTokens { untold.append(id) }
            piece.removeAll(keepingCapacity: true)
            if style.includeStopInOutput || !style.endTokenIDs.contains(id) { detokenizer.append(id, to: &piece) }
            scalars += piece.scalarCount
            delta.tokenIDs?.append(id)
            if delta.scored != nil, place < logprobs.count {
                let scored = text.scored(
                    logprobs[place], alternatives: style.logprobs ?? 0, requestedOnly: style.listsRequestedIDs, offset: offset)
                delta.scored?.append(scored)
            }
            if let stop = matcher.feed(piece, armed: generated > style.minTokens, into: &delta.text) {
                delta.end = ChoiceEnd(reason: "stop", cause: .stopString(stop))
            }
        }
    }

    mutating func finish(_ reason: FinishReason, stopTokenID: Int32?) {
        guard !hasEnded else { return }
        piece.removeAll(keepingCapacity: true)
        detokenizer.finish(into: &piece)
        if let stop = matcher.feed(piece, armed: generated > style.minTokens, into: &delta.text) {
            delta.end = ChoiceEnd(reason: "stop", cause: .stopString(stop))
            return
        }
        matcher.finish(into: &delta.text)
        // EOS is no stop reason, unless the client asked to stop at that very id.
        let stop = stopTokenID.flatMap { style.clientStopTokenIDs.contains($0) ? $0 : nil }
        delta.end = ChoiceEnd(reason: reason.rawValue, cause: stop.map { .stopToken($0) })
    }
}

extension TextModel {
    /// - Parameters:
    ///   - alternatives: how many of the best to list besides the token itself; -1 is all.
    ///   - offset: of the token's text in the choice's.
    func scored(_ position: PositionLogprobs, alternatives: Int, requestedOnly: Bool, offset: Int) -> ScoredToken {
        let others = requestedOnly ? position.requested[...] : alternatives < 0 ? position.top[...] : position.top.prefix(alternatives)
        let chosen = position.chosen
        var candidates = [candidate(chosen)]
        candidates.reserveCapacity(others.count + 1)
        for other in others where other.token != chosen.token { candidates.append(candidate(other)) }
        return ScoredToken(
            id: chosen.token, text: candidates[0].text, logprob: chosen.logprob, rank: chosen.rank, textOffset: offset, candidates: candidates)
    }

    private func candidate(_ token: TokenLogprob) -> ScoredToken.Candidate {
        ScoredToken.Candidate(id: token.token, text: text(of: token.token), logprob: token.logprob, rank: token.rank)
    }

    /// The prompt's tokens with their log-probabilities; the first has none.
    func scoredPrompt(_ ids: [Int32], _ positions: [PositionLogprobs?], alternatives: Int, style: ChoiceStyle) -> [ScoredToken] {
        var detokenizer = makeDetokenizer(
            after: [], skipSpecialTokens: style.skipSpecialTokens, spacesBetweenSpecialTokens: style.spacesBetweenSpecialTokens)
        var piece: [UInt8] = []
        var offset = 0
        var tokens: [ScoredToken] = []
        tokens.reserveCapacity(ids.count)
        for (index, id) in ids.enumerated() {
            if index < positions.count, let position = positions[index] {
                tokens.append(scored(position, alternatives: alternatives, requestedOnly: false, offset: offset))
            } else {
                tokens.append(ScoredToken(id: id, text: text(of: id), logprob: nil, textOffset: offset))
            }
            piece.removeAll(keepingCapacity: true)
            detokenizer.append(id, to: &piece)
            offset += piece.scalarCount
        }
        return tokens
    }
}

extension [UInt8] {
    /// Unicode scalars in valid UTF-8.
    var scalarCount: Int {
        var count = 0
        for byte in self where byte & 0xC0 != 0x80 { count += 1 }
        return count
    }
}
