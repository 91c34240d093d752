package import Sampling

/// Why a request was refused on submission, or failed later (thrown by its event sequence).
package enum EngineError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Maps to 400.
    case invalidParameter(ParameterError)
    /// Maps to 400.
    case emptyPrompt
    /// Maps to 400: a prompt id at or above the vocabulary size.
    case tokenOutOfRange(token: Int32, position: Int, vocabularySize: Int)
    /// Maps to 400: prompt (with `outputTokensSoFar`) plus one token does not fit the model's length.
    case promptTooLong(tokens: Int, maxModelLength: Int)
    /// Maps to 400: the prompt does not fit the whole KV cache.
    case promptExceedsCache(tokens: Int, capacity: Int)
    /// Maps to 400: text asked of a model that pools, or the other way round.
    case wrongTask(modelPools: Bool)
    /// Maps to 404: the adapter was never loaded, or is unloaded.
    case unknownAdapter(Int32)
    /// Maps to 503.
    case queueFull(waiting: Int, limit: Int)
    /// Maps to 503.
    case tokenQueueFull(waitingTokens: Int, limit: Int)
    /// Maps to 503: draining or shut down.
    case notAccepting
    /// Maps to 500: the model's logits for this request were NaN or +inf.
    case corruptLogits(choice: Int, outputPosition: Int)
    /// Maps to 500: masks left no token to choose.
    case noTokenAllowed(choice: Int, outputPosition: Int)
    /// Maps to 500: the step that held this request failed; the runner's own words.
    case stepFailed(cause: String)

    package var description: String {
        switch self {
        case .invalidParameter(let error): error.description
        case .emptyPrompt: "the prompt holds no tokens; send at least one"
        case .tokenOutOfRange(let token, let position, let size):
            "token id \(token) at position \(position) is outside the vocabulary of \(size)"
        case .promptTooLong(let tokens, let limit):
            "the prompt has \(tokens) tokens, and with one to generate that exceeds the model's maximum length of \(limit); shorten the prompt"
        case .promptExceedsCache(let tokens, let capacity):
            "the prompt has \(tokens) tokens but the whole KV cache holds \(capacity); shorten the prompt or give the cache more memory"
        case .wrongTask(let modelPools):
            modelPools ? "this model gives embeddings or class scores and generates no text" : "this model generates text and gives no embeddings"
        case .unknownAdapter(let id): "adapter \(id) is not loaded any more"
        case .queueFull(let waiting, let limit): "\(waiting) requests are waiting and the limit is \(limit); try again later"
        case .tokenQueueFull(let waiting, let limit): "\(waiting) prompt tokens are waiting and the limit is \(limit); try again later"
        case .notAccepting: "the engine is shutting down and takes no more requests"
        case .corruptLogits(let choice, let position):
            "the model produced NaN or infinite values for choice \(choice) at output position \(position)"
        case .noTokenAllowed(let choice, let position):
            "no token is allowed for choice \(choice) at output position \(position): masks and constraints exclude the whole vocabulary"
        case .stepFailed(let cause): "the model step failed: \(cause)"
        }
    }
}
