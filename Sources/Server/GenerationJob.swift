internal import Engine
internal import OpenAI

/// A validated request, ready to run: what goes into the engine and how the reply looks.
struct GenerationJob: Sendable {
    struct Prompt: Sendable {
        var tokenIDs: [Int32]
        /// The text that `echo` repeats before the answer; nil without echo.
        var echo: [UInt8]?
        var request: EngineRequest
    }

    var prompts: [Prompt]
    var writer: any ReplyWriter
    /// Choices per prompt.
    var n: Int
    var stream: Bool
    var includeUsage: Bool
    var continuousUsage: Bool
    var streamInterval: Int
    var promptText: String?
    var style: ChoiceStyle
    /// Whether the reply shows prompt_logprobs, and how many alternatives.
    var promptLogprobs: Int?
    /// Whether logprobs of the echoed prompt come before the answer's.
    var scoresEcho: Bool
    /// Seconds since 1970 that the reply names.
    var created: Int
    /// Of an earlier run of the same request.
    var progress: ReplyProgress?

    var promptTokens: Int { prompts.reduce(0) { $0 + $1.tokenIDs.count } }
}

/// How tokens of a choice become text and lists.
struct ChoiceStyle: Sendable {
    var stops: [String]
    var includeStopInOutput: Bool
    var minTokens: Int
    /// Tokens whose text is not shown: they end the choice.
    var endTokenIDs: Set<Int32>
    var clientStopTokenIDs: Set<Int32>
    var skipSpecialTokens: Bool
    var spacesBetweenSpecialTokens: Bool
    var returnTokenIDs: Bool
    /// Alternatives per token; nil is no logprobs.
    var logprobs: Int?
    /// Whether exactly the requested ids are listed, rather than the best ones.
    var listsRequestedIDs: Bool
    /// Whether choices remember the tokens that no chunk has told of yet.
    var keepsTokens = false
}
