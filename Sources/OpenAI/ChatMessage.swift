package import JSON

/// Checks one message of a chat request and brings it into the shape that templates expect.
package enum ChatMessage {
    static let roles = ["system", "developer", "user", "assistant", "tool", "function"]

    /// - Returns: the message with its content as a string or a list of `{"type":"text","text"}`, null content of assistants as an empty
    ///   string, the arguments of tool calls parsed, and `reasoning_content` and `reasoning` both set when either is.
    package static func normalized(_ value: JSONValue, path: String) throws(APIError) -> JSONValue {
        guard var message = value.object else { throw .malformed("\(path) must be an object, not \(value.kind)", at: path) }
        let fields = Fields(message, path: path)
        guard let role = try fields.string("role") else { throw fields.missing("role") }
        guard roles.contains(role) else {
            throw .malformed("\(path).role must be one of \(roles.joined(separator: ", ")), not '\(role.clipped(to: 40))'", at: "\(path).role")
        }
        message["content"] = try content(fields, role: role)
        if let calls = try fields.array("tool_calls") {
            message["tool_calls"] = calls.isEmpty ? nil : .array(try toolCalls(calls, path: fields.path(of: "tool_calls")))
        }
        let older = try fields.string("reasoning_content")
        if let reasoning = try fields.string("reasoning") ?? older {
            message["reasoning"] = .string(reasoning)
            message["reasoning_content"] = .string(reasoning)
        }
        if message["name"]?.isNull == true { message["name"] = nil }
        return .object(message)
    }

    private static func content(_ fields: Fields, role: String) throws(APIError) -> JSONValue {
        switch fields["content"] {
        case nil:
            guard role == "assistant" else { throw fields.missing("content") }
            return ""
        case .string(let text)?: return .string(text)
        case .array(let parts)?:
            var texts: [JSONValue] = []
            for (index, part) in parts.enumerated() {
                if let text = try text(of: part, path: "\(fields.path(of: "content")).\(index)") { texts.append(Self.part(text)) }
            }
            return .array(texts)
        case let other?: throw fields.wrongType("content", wanted: "a string or an array of parts", found: other)
        }
    }

    /// Content as one string: parts stand on lines of their own.
    package static func text(_ content: JSONValue) -> String {
        guard let parts = content.array else { return content.string ?? "" }
        return parts.compactMap { $0["text"]?.string }.joined(separator: "\n")
    }

    /// Content as a list of parts.
    package static func parts(_ content: JSONValue) -> [JSONValue] {
        if let parts = content.array { return parts }
        guard let text = content.string, !text.isEmpty else { return [] }
        return [part(text)]
    }

    static func part(_ text: String) -> JSONValue { ["type": "text", "text": .string(text)] }

    private static let media: Set<String> = [
        "image_url", "image", "input_image", "image_embeds", "image_pil", "input_audio", "audio_url", "audio_embeds", "video_url", "video", "file",
        "input_file",
    ]

    private static func text(of part: JSONValue, path: String) throws(APIError) -> String? {
        if let text = part.string { return text }
        guard let object = part.object else { throw .malformed("\(path) must be an object, not \(part.kind)", at: path) }
        let fields = Fields(object, path: path)
        guard let type = try fields.string("type") else { throw fields.missing("type") }
        switch type {
        case "text", "input_text", "output_text":
            guard let text = try fields.string("text") else { throw fields.missing("text") }
            return text
        case "refusal":
            guard let text = try fields.string("refusal") else { throw fields.missing("refusal") }
            return text
        case "thinking": return nil
        case _ where media.contains(type):
            throw .invalid("this model takes text only, and \(path) is of type \(type)", parameter: "messages", value: type)
        default: throw .malformed("\(path).type must be text, not '\(type.clipped(to: 40))'", at: "\(path).type")
        }
    }

    /// Clients send arguments as JSON text; templates want the object. What does not parse stays as it is: it came from a model.
    private static func toolCalls(_ calls: [JSONValue], path: String) throws(APIError) -> [JSONValue] {
        var result: [JSONValue] = []
        for (index, call) in calls.enumerated() {
            let path = "\(path).\(index)"
            guard var object = call.object else { throw .malformed("\(path) must be an object, not \(call.kind)", at: path) }
            let fields = Fields(object, path: path)
            guard let function = try fields.fields("function") else { throw fields.missing("function") }
            guard try function.string("name") != nil else { throw function.missing("name") }
            var body = function.object
            switch body["arguments"] {
            case .string(let text)?:
                if text.utf8.allSatisfy({ $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }) {
                    body["arguments"] = .object(JSONObject())
                } else if let parsed = try? JSONValue(parsing: text, options: .init(maxDepth: Fields.maxDepth)), parsed.object != nil {
                    body["arguments"] = parsed
                }
            case nil, .null?: body["arguments"] = .object(JSONObject())
            case .object?: break
            case let other?: throw function.wrongType("arguments", wanted: "a string of JSON", found: other)
            }
            object["function"] = .object(body)
            result.append(.object(object))
        }
        return result
    }
}
