package import JSON

/// A model's chat template. Compile it once; rendering is safe from any number of threads.
package struct ChatTemplate: Sendable {
    package let template: Template
    /// What the template expects of a request.
    package let traits: ChatTemplateTraits

    package init(_ source: String) throws(TemplateError) {
        template = try Template(source)
        traits = ChatTemplateTraits(template)
    }

    /// The prompt text for a conversation.
    ///
    /// The variables are those of transformers' `apply_chat_template`: `tools` and `documents` are null where the request has none.
    /// - Parameters:
    ///   - messages: objects with `role`, `content` and what else the model's template reads.
    ///   - extra: further variables (`chat_template_kwargs` of a request); they win over all others.
    package func render(
        messages: [JSONValue], tools: [JSONValue]? = nil, documents: [JSONValue]? = nil, addGenerationPrompt: Bool = true,
        bosToken: String? = nil, eosToken: String? = nil, unkToken: String? = nil, padToken: String? = nil, extra: JSONObject = JSONObject(),
        clock: TemplateClock = .system, limits: TemplateLimits = TemplateLimits()
    ) throws(TemplateError) -> String {
        var context = JSONObject()
        context["messages"] = .array(messages)
        context["tools"] = tools.map { .array($0) } ?? .null
        context["documents"] = documents.map { .array($0) } ?? .null
        context["add_generation_prompt"] = .bool(addGenerationPrompt)
        for (name, token) in [("bos_token", bosToken), ("eos_token", eosToken), ("unk_token", unkToken), ("pad_token", padToken)] {
            if let token { context[name] = .string(token) }
        }
        for member in extra.members { context[member.key] = member.value }
        return try template.render(context: context, clock: clock, limits: limits)
    }
}
