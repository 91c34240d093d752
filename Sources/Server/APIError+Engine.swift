internal import Engine
internal import OpenAI
internal import Sampling

extension APIError {
    /// The one place where the engine's errors become HTTP.
    init(_ error: EngineError, answersFullQueueWith429: Bool) {
        switch error {
        case .invalidParameter(let parameter):
            self = APIError(status: 400, message: parameter.description, type: "BadRequestError", parameter: parameter.parameter)
        case .emptyPrompt: self = .invalid(error.description, parameter: "prompt")
        case .tokenOutOfRange(let token, _, _): self = .invalid(error.description, parameter: "prompt", value: String(token))
        case .promptTooLong(let tokens, let limit): self = .promptTooLong(tokens: tokens, maxModelLength: limit)
        case .promptExceedsCache(let tokens, _): self = .invalid(error.description, parameter: "input_tokens", value: String(tokens))
        case .wrongTask: self = .invalid(error.description, parameter: "model")
        case .unknownAdapter: self = APIError(status: 404, message: error.description, type: "NotFoundError", parameter: "model")
        case .queueFull, .tokenQueueFull: self = .overloaded(error.description, status: answersFullQueueWith429 ? 429 : 503)
        case .notAccepting: self = .overloaded(error.description)
        case .corruptLogits, .noTokenAllowed, .stepFailed: self = .internalError(error.description)
        }
    }
}
