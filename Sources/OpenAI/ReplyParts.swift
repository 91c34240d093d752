/// Token counts of a reply.
package struct Usage: Sendable, Equatable {
    /// Template and BOS included; counted once per prompt, not per choice.
    package var promptTokens: Int
    /// EOS and stop tokens included.
    package var completionTokens: Int
    /// Prompt tokens found in the prefix cache; nil leaves the details out.
    package var cachedTokens: Int?

    package init(promptTokens: Int, completionTokens: Int = 0, cachedTokens: Int? = nil) {
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        self.cachedTokens = cachedTokens
    }
}

/// How a choice ended.
package struct ChoiceEnd: Sendable, Equatable {
    package enum Cause: Sendable, Equatable {
        case stopString(String)
        case stopToken(Int32)
    }

    /// `stop`, `length` or `abort`.
    package var reason: String
    /// What the client asked to stop at; nil for EOS and length.
    package var cause: Cause?

    package init(reason: String, cause: Cause? = nil) {
        self.reason = reason
        self.cause = cause
    }
}

/// A token with its log-probability and text, as replies show them.
package struct ScoredToken: Sendable, Equatable {
    package struct Candidate: Sendable, Equatable {
        package var id: Int32
        /// The token's own text, leading space kept; may hold part of a character.
        package var text: [UInt8]
        package var logprob: Float
        package var rank: Int32

        package init(id: Int32, text: [UInt8], logprob: Float, rank: Int32) {
            self.id = id
            self.text = text
            self.logprob = logprob
            self.rank = rank
        }
    }

    /// nil logprob: the first prompt token, which nothing precedes.
    package var id: Int32
    /// The token's own text, leading space kept; may hold part of a character.
    package var text: [UInt8]
    package var logprob: Float?
    package var rank: Int32
    /// Unicode scalars of the choice's text before this token's.
    package var textOffset: Int
    /// This token first, then the best others, best first. Empty where `logprob` is nil.
    package var candidates: [Candidate]

    package init(id: Int32, text: [UInt8], logprob: Float?, rank: Int32 = 0, textOffset: Int = 0, candidates: [Candidate] = []) {
        self.id = id
        self.text = text
        self.logprob = logprob
        self.rank = rank
        self.textOffset = textOffset
        self.candidates = candidates
    }
}

/// What every object of a reply repeats.
package struct ReplyHead: Sendable {
    package var id: String
    /// Seconds since 1970.
    package var created: Int
    package var model: String
    /// nil leaves `system_fingerprint` null.
    package var fingerprint: String?

    package init(id: String, created: Int, model: String, fingerprint: String?) {
        self.id = id
        self.created = created
        self.model = model
        self.fingerprint = fingerprint
    }
}
