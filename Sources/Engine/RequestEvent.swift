package import Sampling

/// What a request's sequence yields, in order: one `started`, then for each choice any number of `tokens` and one `finished`. A request
/// aborted before its prompt was computed has no `started`.
package enum RequestEvent: Sendable {
    case started(RequestStart)
    case tokens(ChoiceTokens)
    /// Rows of a pooled text, `[1 or tokens, width]`, before `finished`.
    case pooled([Float])
    case finished(ChoiceFinish)
}

/// Known when the prompt has been computed.
package struct RequestStart: Sendable, Equatable {
    /// Prompt tokens found in the prefix cache.
    package var cachedPromptTokens: Int
    /// `[prompt tokens]`, nil at position 0; empty unless prompt_logprobs was asked for.
    package var promptLogprobs: [PositionLogprobs?]
    /// The seed in use: the request's, or the one drawn for it.
    package var seed: UInt64
    /// Seconds from arrival to the first step with this request.
    package var queueSeconds: Double
    /// Seconds from the first step to the end of the prompt.
    package var prefillSeconds: Double

    package init(
        cachedPromptTokens: Int, promptLogprobs: [PositionLogprobs?], seed: UInt64, queueSeconds: Double, prefillSeconds: Double
    ) {
        self.cachedPromptTokens = cachedPromptTokens
        self.promptLogprobs = promptLogprobs
        self.seed = seed
        self.queueSeconds = queueSeconds
        self.prefillSeconds = prefillSeconds
    }
}

/// New tokens of one choice; several if the reader was slower than the engine.
package struct ChoiceTokens: Sendable, Equatable {
    package var choice: Int
    package var tokenIDs: [Int32]
    /// One per token if logprobs were asked for, else empty.
    package var logprobs: [PositionLogprobs]

    package init(choice: Int, tokenIDs: [Int32], logprobs: [PositionLogprobs]) {
        self.choice = choice
        self.tokenIDs = tokenIDs
        self.logprobs = logprobs
    }
}

/// Why a choice ended.
package enum FinishReason: String, Sendable, Equatable {
    /// EOS, a stop id, a completed grammar, or a text that is pooled.
    case stop
    /// Out of room; see `ChoiceFinish.limit`.
    case length
    /// Cancelled, or the engine shut down.
    case abort
}

/// Which room ran out for `FinishReason.length`.
package enum LengthLimit: Sendable, Equatable {
    case maxTokens
    case modelLength(tokens: Int)
    /// The sequence alone filled the whole KV cache of so many tokens.
    case cacheCapacity(tokens: Int)
}

package struct ChoiceFinish: Sendable, Equatable {
    package var choice: Int
    package var reason: FinishReason
    /// The stop id that ended it; nil for EOS and everything else.
    package var stopTokenID: Int32?
    package var limit: LengthLimit?
    /// Output tokens, those of `outputTokensSoFar` and the EOS or stop token included.
    package var outputTokens: Int
    /// Times this choice lost its cache and was computed again.
    package var preemptions: Int

    package init(
        choice: Int, reason: FinishReason, stopTokenID: Int32?, limit: LengthLimit?, outputTokens: Int, preemptions: Int
    ) {
        self.choice = choice
        self.reason = reason
        self.stopTokenID = stopTokenID
        self.limit = limit
        self.outputTokens = outputTokens
        self.preemptions = preemptions
    }
}
