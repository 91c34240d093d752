package import JSON

/// What a chat template turns into a prompt: messages and the settings around them. Shared by chat and `/tokenize`.
package struct Conversation: Sendable {
    /// Objects with `role` and, as templates expect them, `content` (a string, or a list of `{"type":"text","text"}` parts), parsed
    /// `tool_calls` and whatever else the client sent.
    package var messages: [JSONValue]
    package var tools: [JSONValue]?
    package var documents: [JSONValue]?
    package var addGenerationPrompt: Bool
    package var continueFinalMessage: Bool
    package var addSpecialTokens: Bool
    /// Variables of the client, and those that other fields imply.
    package var templateVariables: JSONObject
    /// A template of the client's own; only used where the operator trusts it.
    package var template: String?

    package init(_ body: Fields) throws(APIError) {
        guard let elements = try body.array("messages") else { throw body.missing("messages") }
        guard !elements.isEmpty else { throw .invalid("messages must not be empty", parameter: "messages", value: "[]") }
        messages = []
        messages.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            messages.append(try ChatMessage.normalized(element, path: "\(body.path(of: "messages")).\(index)"))
        }
        tools = try Self.tools(body)
        documents = try body.array("documents")
        addGenerationPrompt = try body.bool("add_generation_prompt") ?? true
        continueFinalMessage = try body.bool("continue_final_message") ?? false
        if continueFinalMessage, try body.bool("add_generation_prompt") == true {
            throw .invalid("continue_final_message and add_generation_prompt exclude each other", parameter: "continue_final_message")
        }
        if continueFinalMessage { addGenerationPrompt = false }
        addSpecialTokens = try body.bool("add_special_tokens") ?? false
        template = try body.string("chat_template")
        templateVariables = JSONObject()
        if let effort = try body.string("reasoning_effort") {
            guard Self.efforts.contains(effort) else {
                throw .invalid(
                    "reasoning_effort must be one of \(Self.efforts.joined(separator: ", "))", parameter: "reasoning_effort", value: effort)
            }
            templateVariables["reasoning_effort"] = .string(effort)
            templateVariables["enable_thinking"] = .bool(effort != "none")
        }
        if let own = try body.fields("chat_template_kwargs") {
            for (key, value) in own.object.members { templateVariables[key] = value }
        }
    }

    private static let efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]

    /// Checks tools and `tool_choice`. Calls are not parsed out of answers yet, so nothing may be demanded of them.
    private static func tools(_ body: Fields) throws(APIError) -> [JSONValue]? {
        let tools = try body.array("tools")
        if let tools, tools.isEmpty { throw .invalid("tools must not be empty; leave it out instead", parameter: "tools", value: "[]") }
        for (index, tool) in (tools ?? []).enumerated() {
            let path = "\(body.path(of: "tools")).\(index)"
            guard let object = tool.object else { throw .malformed("\(path) must be an object, not \(tool.kind)", at: path) }
            let fields = Fields(object, path: path)
            guard let function = try fields.fields("function") else { throw fields.missing("function") }
            guard try function.string("name") != nil else { throw function.missing("name") }
        }
        switch body["tool_choice"] {
        case nil: break
        case "auto":
            if tools == nil { throw .invalid("tool_choice auto needs tools", parameter: "tool_choice", value: "auto") }
        case "none": break
        case "required": throw .unsupported("tool_choice", "tool_choice required")
        case .object?: throw .unsupported("tool_choice", "a named tool_choice")
        case let other?:
            throw .invalid("tool_choice must be none, auto, required or a named function", parameter: "tool_choice", value: other.text)
        }
        return tools
    }

    package enum ContentShape: Sendable {
        case string, parts
    }

    /// The messages as a template wants them.
    /// - Parameters:
    ///   - developerAsSystem: for templates that do not know the role `developer`.
    ///   - suffix: put behind the last message's text.
    package func messages(content shape: ContentShape, developerAsSystem: Bool, suffix: String = "") -> [JSONValue] {
        messages.enumerated().map { index, message in
            guard case .object(var object) = message else { return message }
            if developerAsSystem, object["role"] == "developer" { object["role"] = "system" }
            let tail = index == messages.count - 1 ? suffix : ""
            let content = object["content"] ?? ""
            switch shape {
            case .string: object["content"] = .string(ChatMessage.text(content) + tail)
            case .parts:
                var parts = ChatMessage.parts(content)
                if !tail.isEmpty { parts.append(ChatMessage.part((parts.popLast()?["text"]?.string ?? "") + tail)) }
                object["content"] = .array(parts)
            }
            return .object(object)
        }
    }

    /// What an echo repeats: the text of a last message that is the assistant's.
    package var finalAssistantText: String? {
        guard let last = messages.last, last["role"] == "assistant", let content = last["content"] else { return nil }
        return ChatMessage.text(content)
    }
}
