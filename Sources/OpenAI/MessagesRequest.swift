internal import JSON

/// The body of `POST /v1/messages` (Anthropic's Messages API), as the chat request that does the same. Texts only; tools and thinking are refused.
package struct MessagesRequest: Sendable {
    package var chat: ChatRequest

    package init(body bytes: [UInt8], limits: RequestLimits = RequestLimits(), serverStreamInterval: Int = 1) throws(APIError) {
        let body = try Fields(body: bytes)
        chat = try ChatRequest(body: Array(JSONValue.object(try Self.translated(body)).text.utf8), limits: limits, serverStreamInterval: serverStreamInterval)
    }

    private static func translated(_ body: Fields) throws(APIError) -> JSONObject {
        try body.refuse(["tools", "tool_choice", "mcp_servers", "container", "context_management"])
        if let thinking = try body.fields("thinking"), try thinking.string("type") != "disabled" { throw .unsupported("thinking") }
        guard try body.int("max_tokens") != nil else { throw body.missing("max_tokens") }
        guard let messages = try body.array("messages") else { throw body.missing("messages") }
        var chat = JSONObject()
        var all: [JSONValue] = []
        if let system = body["system"] { all.append(try message("system", system, path: body.path(of: "system"))) }
        for (index, element) in messages.enumerated() {
            let path = "\(body.path(of: "messages")).\(index)"
            guard let object = element.object else { throw .malformed("\(path) must be an object, not \(element.kind)", at: path) }
            let fields = Fields(object, path: path)
            guard let role = try fields.string("role") else { throw fields.missing("role") }
            guard role == "user" || role == "assistant" else {
                throw .invalid("\(path).role must be user or assistant", parameter: "\(path).role", value: role)
            }
            guard let content = fields["content"] else { throw fields.missing("content") }
            all.append(try message(role, content, path: "\(path).content"))
        }
        chat["messages"] = .array(all)
        // A last turn of the assistant is the beginning of the answer.
        if all.last?["role"] == "assistant" {
            chat["continue_final_message"] = true
            chat["add_generation_prompt"] = false
        }
        for name in ["model", "max_tokens", "stream", "temperature", "top_p", "top_k"] { if let value = body[name] { chat[name] = value } }
        if let stops = try body.strings("stop_sequences") { chat["stop"] = .array(stops.map(JSONValue.string)) }
        return chat
    }

    /// - Parameter content: a text, or a list of text blocks.
    private static func message(_ role: String, _ content: JSONValue, path: String) throws(APIError) -> JSONValue {
        var text = content.string ?? ""
        if content.string == nil {
            guard let blocks = content.array else { throw .malformed("\(path) must be a string or an array of blocks, not \(content.kind)", at: path) }
            for (index, block) in blocks.enumerated() {
                guard block["type"] == "text", let part = block["text"]?.string else {
                    throw .invalid("\(path).\(index): only blocks of type text are supported", parameter: "\(path).\(index)", value: block["type"]?.text ?? "")
                }
                text += part
            }
        }
        return .object(JSONObject([("role", .string(role)), ("content", .string(text))]))
    }
}
