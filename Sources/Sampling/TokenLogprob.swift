/// One token's log-probability at one position.
package struct TokenLogprob: Sendable, Equatable {
    package var token: Int32
    /// Natural logarithm; may be `-infinity`.
    package var logprob: Float
    /// 1 + the number of tokens strictly more probable.
    package var rank: Int32

    package init(token: Int32, logprob: Float, rank: Int32) {
        self.token = token
        self.logprob = logprob
        self.rank = rank
    }
}

/// What is reported about one position: raw log-softmax of the model's logits before any processing (except a grammar's mask).
package struct PositionLogprobs: Sendable, Equatable {
    /// The token that stands at this position.
    package var chosen: TokenLogprob
    /// The best ones, most probable first (ties by lower id); contains `chosen` only if it is among them.
    package var top: [TokenLogprob]
    /// Those asked for by id, in the order asked.
    package var requested: [TokenLogprob]

    package init(chosen: TokenLogprob, top: [TokenLogprob], requested: [TokenLogprob] = []) {
        self.chosen = chosen
        self.top = top
        self.requested = requested
    }
}
