package import JSON

/// A refusal or failure as OpenAI clients read it: `{"error":{"message","type","param","code"}}`.
///
/// Statuses and types follow vLLM; `code` repeats the status.
package struct APIError: Error, Sendable, Equatable {
    /// HTTP status.
    package var status: Int
    package var message: String
    package var type: String
    /// The request field at fault: a name (`top_p`) or, for fields of the wrong shape, a dotted path (`body.messages.0.role`).
    package var parameter: String?
    /// Value of a `Retry-After` header, where trying again may help.
    package var retryAfterSeconds: Int?

    package init(status: Int, message: String, type: String, parameter: String? = nil, retryAfterSeconds: Int? = nil) {
        self.status = status
        self.message = message
        self.type = type
        self.parameter = parameter
        self.retryAfterSeconds = retryAfterSeconds
    }

    package func write(into writer: inout JSONWriter) {
        writer.raw("{\"error\":{\"message\":")
        writer.string(message)
        writer.raw(",\"type\":")
        writer.string(type)
        writer.raw(",\"param\":")
        if let parameter { writer.string(parameter) } else { writer.raw("null") }
        writer.raw(",\"code\":")
        writer.int(status)
        writer.raw("}}")
    }

    package var body: [UInt8] {
        var writer = JSONWriter(capacity: 160)
        write(into: &writer)
        return writer.bytes
    }
}

extension APIError {
    /// JSON that cannot be read, or a field that is missing or of the wrong type.
    package static func malformed(_ message: String, at path: String? = nil) -> APIError {
        APIError(status: 400, message: message, type: "Bad Request", parameter: path)
    }

    /// A value out of range, or values that contradict each other.
    package static func invalid(_ message: String, parameter: String?, value: String? = nil) -> APIError {
        var message = message
        if let parameter, let value { message += " (parameter=\(parameter), value=\(value.clipped(to: 200)))" }
        return APIError(status: 400, message: message, type: "BadRequestError", parameter: parameter)
    }

    package static func unsupported(_ parameter: String, _ what: String? = nil) -> APIError {
        .invalid("\(what ?? parameter) is not supported yet; leave \(parameter) out", parameter: parameter)
    }

    package static func unknownModel(_ name: String, served: [String]) -> APIError {
        APIError(
            status: 404,
            message: "The model `\(name.clipped(to: 200))` does not exist. This server has: \(served.joined(separator: ", ")).",
            type: "NotFoundError", parameter: "model")
    }

    /// A route that the served model cannot answer.
    package static func wrongTask(_ route: String, model: String, does: String) -> APIError {
        APIError(
            status: 404, message: "The model `\(model.clipped(to: 200))` does not support \(route): it \(does).", type: "NotFoundError", parameter: "model")
    }

    package static func inputTooLong(tokens: Int, maxModelLength: Int) -> APIError {
        .invalid(
            "This model's maximum context length is \(maxModelLength) tokens. However, you requested \(tokens) tokens in the input. "
                + "Please reduce the length of the input, or set truncate_prompt_tokens.",
            parameter: "input_tokens", value: String(tokens))
    }

    package static func promptTooLong(tokens: Int, maxModelLength: Int) -> APIError {
        .invalid(
            "This model's maximum context length is \(maxModelLength) tokens, but the prompt holds \(tokens) tokens, which leaves no room "
                + "for an answer. Please shorten the prompt.",
            parameter: "input_tokens", value: String(tokens))
    }

    package static let unauthorized = APIError(
        status: 401, message: "Unauthorized: send a valid API key as 'Authorization: Bearer KEY'.", type: "AuthenticationError")

    package static func notFound(_ path: String) -> APIError {
        APIError(status: 404, message: "Not Found: there is nothing at \(path.clipped(to: 200))", type: "NotFoundError")
    }

    package static func methodNotAllowed(_ method: String, allowed: [String]) -> APIError {
        APIError(
            status: 405, message: "Method Not Allowed: use \(allowed.joined(separator: " or ")) rather than \(method)",
            type: "MethodNotAllowedError")
    }

    package static func tooLarge(limit: Int) -> APIError {
        APIError(status: 413, message: "The request body is larger than \(limit) bytes.", type: "RequestEntityTooLargeError")
    }

    package static let bodyTimeout = APIError(
        status: 408, message: "The request body did not arrive in time.", type: "RequestTimeoutError")

    package static func overloaded(_ message: String, status: Int = 503) -> APIError {
        APIError(
            status: status, message: message, type: status == 429 ? "Too Many Requests" : "Service Unavailable", retryAfterSeconds: 1)
    }

    package static func internalError(_ message: String) -> APIError {
        APIError(status: 500, message: message, type: "InternalServerError")
    }
}

extension String {
    /// At most `count` characters, with a mark where something was left out.
    package func clipped(to count: Int) -> String {
        guard utf8.count > count, self.count > count else { return self }
        return self.prefix(count) + "…"
    }
}
