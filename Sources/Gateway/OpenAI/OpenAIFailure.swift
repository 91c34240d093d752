internal import HTTPTypes
package import Hummingbird
package import JSON
internal import Jobs

/// A failure as OpenAI's clients read it.
package struct OpenAIFailure: Error, Sendable, Equatable {
    package var status: Int
    package var message: String
    package var type: String
    package var parameter: JSONValue = .null
    package var code: JSONValue = .null

    package init(status: Int, message: String, type: String) {
        self.status = status
        self.message = message
        self.type = type
        code = .int(status)
    }

    /// The gateway's own refusals.
    package init(_ error: ClientError) {
        let type =
            switch error.status {
            case 401: "AuthenticationError"
            case 403: "PermissionDeniedError"
            case 404: "NotFoundError"
            case 429: "RateLimitError"
            case 400..<500: "BadRequestError"
            default: "ServiceUnavailableError"
            }
        self.init(status: error.status, message: error.message, type: type)
    }

    /// What a worker said: an error object, `{"error": {…}}`, as JSON or as Python writes it; or any text.
    package init(workerError text: String) {
        let parsed = (try? JSONValue(parsing: text)) ?? PythonLiteral.parse(text)
        if let parsed, let failure = OpenAIFailure(object: parsed) {
            self = failure
        } else {
            self.init(status: 500, message: text, type: "InternalServerError")
        }
    }

    /// Nil where the value does not look like an error.
    package init?(object: JSONValue) {
        if let inner = object["error"] {
            if let message = inner.string {
                self.init(status: Self.status(object["code"]) ?? 500, message: message, type: "InternalServerError")
                return
            }
            guard inner.isTruthy else { return nil }
            // An error in a form of its own is an error nevertheless.
            self = OpenAIFailure(object: inner)
                ?? OpenAIFailure(status: Self.status(inner["code"]) ?? Self.status(object["code"]) ?? 500, message: inner.text, type: "InternalServerError")
            return
        }
        // A crash in the SDK's words: error_type, error_message, error_traceback, …
        guard let message = object["message"]?.string ?? object["error_message"]?.string else { return nil }
        self.init(status: Self.status(object["code"]) ?? 500, message: message, type: object["type"]?.string ?? "InternalServerError")
        parameter = object["param"] ?? .null
        if let code = object["code"], !code.isNull { self.code = code }
    }

    private static func status(_ code: JSONValue?) -> Int? {
        guard let number = code?.int ?? code?.string.flatMap({ Int($0) }), (400...599).contains(number) else { return nil }
        return number
    }

    package func write(into writer: inout JSONWriter) {
        writer.raw("{\"error\":{\"message\":")
        writer.string(message)
        writer.raw(",\"type\":")
        writer.string(type)
        writer.raw(",\"param\":")
        writer.value(parameter)
        writer.raw(",\"code\":")
        writer.value(code)
        writer.raw("}}")
    }

    package var response: Response {
        var response = Reply.json { write(into: &$0) }
        response.status = HTTPResponse.Status(code: status)
        if status == 401 { response.headers[.wwwAuthenticate] = "Bearer" }
        if status == 429 || status == 503 { response.headers[.retryAfter] = "1" }
        return response
    }
}
