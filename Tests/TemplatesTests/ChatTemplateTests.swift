import JSON
import Templates
import Testing

@Suite struct ChatTemplateTests {
    private static let simple = """
        {%- for message in messages %}
        {{- '<|' + message['role'] + '|>' + message.content + eos_token }}
        {%- endfor %}
        {%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}
        """
    private static let parts = """
        {% for m in messages %}{{ m.role }}:{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}
        {% endfor %}{% if tools %}{{ tools | tojson }}{% endif %}
        """

    private func message(_ role: String, _ content: String) -> JSONValue { ["role": .string(role), "content": .string(content)] }

    @Test func rendersAConversation() throws {
        let template = try ChatTemplate(Self.simple)
        let messages = [message("user", "Hi"), message("assistant", "Hello")]
        #expect(try template.render(messages: messages, eosToken: "</s>") == "<|user|>Hi</s><|assistant|>Hello</s><|assistant|>")
        #expect(try template.render(messages: messages, addGenerationPrompt: false, eosToken: "") == "<|user|>Hi<|assistant|>Hello")
        let extra = JSONObject([("eos_token", "!")])
        #expect(try template.render(messages: [message("user", "Hi")], eosToken: "x", extra: extra) == "<|user|>Hi!<|assistant|>")
    }

    @Test func traits() throws {
        let simple = try ChatTemplate(Self.simple).traits, parts = try ChatTemplate(Self.parts).traits
        #expect(!simple.usesTools && simple.contentFormat == .string && simple.supportsSystemRole)
        #expect(parts.usesTools && parts.contentFormat == .parts && parts.supportsSystemRole)
        let strict = try ChatTemplate("{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ m.content }}{% endfor %}")
        #expect(!strict.traits.supportsSystemRole)
        let viaMacro = try ChatTemplate(
            "{% macro show(c) %}{% for p in c %}{{ p.text }}{% endfor %}{% endmacro %}{% for m in messages %}{{ show(m['content']) }}{% endfor %}")
        #expect(viaMacro.traits.contentFormat == .parts)
    }

    @Test func errorsSayWhatAndWhere() throws {
        let syntax = #expect(throws: TemplateError.self) { try ChatTemplate("a\n\n{% if %}x{% endif %}") }
        #expect(syntax?.kind == .syntax && syntax?.line == 3)
        let raised = #expect(throws: TemplateError.self) { try ChatTemplate("{{ raise_exception('roles must alternate') }}").render(messages: []) }
        #expect(raised?.kind == .raised && raised?.message == "roles must alternate")
        let runtime = #expect(throws: TemplateError.self) { try ChatTemplate("\n{{ messages[0].content + 1 }}").render(messages: [message("user", "x")]) }
        #expect(runtime?.kind == .runtime && runtime?.line == 2)
    }

    /// As Jinja2 3.1.6 has it.
    @Test func callersHaveNoName() throws {
        let macro = "{% macro m() %}{{ m.name }} {{ caller.name }} {{ caller.name is none }} {{ caller.name is defined }}{% endmacro %}"
        #expect(try Template(macro + "{% call m() %}{% endcall %}").render(context: JSONObject()) == "m None True True")
    }

    @Test func numbersKeepTheirKind() throws {
        let template = try Template("{{ x | tojson }} {{ x.c + 1 }}")
        let context = try #require(try JSONValue(parsing: #"{"x":{"b":1.0,"a":1,"c":123456789012345678901234567890}}"#).object)
        #expect(try template.render(context: context) == #"{"b": 1.0, "a": 1, "c": 123456789012345678901234567890} 123456789012345678901234567891"#)
    }

    @Test func oneTemplateManyThreads() async throws {
        let template = try ChatTemplate(Self.simple)
        let texts = try await withThrowingTaskGroup(of: String.self) { group in
            for index in 0..<64 {
                let messages = [message("user", "message \(index)")]
                group.addTask { try template.render(messages: messages, eosToken: "") }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(texts.count == 64)
    }

    @Test func clock() throws {
        let template = try Template("{{ strftime_now('%d %b %Y, %A week %V') }}")
        let clock = TemplateClock.fixed(TemplateTime(year: 2024, month: 2, day: 29))
        #expect(try template.render(context: JSONObject(), clock: clock) == "29 Feb 2024, Thursday week 09")
        #expect(try !template.render(context: JSONObject()).isEmpty)
    }
}
