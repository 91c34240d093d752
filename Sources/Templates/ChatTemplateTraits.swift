internal import JSON

/// What a chat template expects, read off its tree or found out by rendering small conversations.
package struct ChatTemplateTraits: Sendable, Equatable {
    package enum ContentFormat: String, Sendable {
        /// `content` is one string.
        case string
        /// `content` may be a list of parts (`{"type": "text", …}`), which the template walks.
        case parts
    }

    /// The template reads `tools`.
    package let usesTools: Bool
    /// The template reads `documents`.
    package let usesDocuments: Bool
    package let contentFormat: ContentFormat
    /// A system message neither fails nor vanishes.
    package let supportsSystemRole: Bool

    init(_ template: Template) {
        let compiled = template.compiled
        var read = Set<Int>()
        TreeWalk.expressions(compiled.body) { if case .name(let id) = $0.kind { read.insert(id) } }
        func reads(_ name: String) -> Bool { compiled.names.firstIndex(of: name).map(read.contains) ?? false }
        usesTools = reads("tools")
        usesDocuments = reads("documents")
        contentFormat = ContentWalk.loopsOverContent(compiled) ? .parts : .string
        supportsSystemRole = Self.keepsSystemMessage(template, contentFormat)
    }

    private static func keepsSystemMessage(_ template: Template, _ format: ContentFormat) -> Bool {
        let marker = "needletail system probe"
        func message(_ role: String, _ text: String, _ format: ContentFormat) -> JSONValue {
            ["role": .string(role), "content": format == .string ? .string(text) : [["type": "text", "text": .string(text)]]]
        }
        for format in format == .string ? [format] : [format, .string] {
            var context = JSONObject()
            context["messages"] = [message("system", marker, format), message("user", "hello", format)]
            context["add_generation_prompt"] = true
            for name in ["tools", "documents"] { context[name] = .null }
            for name in ["bos_token", "eos_token", "unk_token", "pad_token"] { context[name] = "" }
            var limits = TemplateLimits()
            limits.steps = 500_000
            limits.outputBytes = 1 << 20
            limits.allocatedBytes = 16 << 20
            let clock = TemplateClock.fixed(TemplateTime(year: 2025, month: 1, day: 1))
            if let text = try? template.render(context: context, clock: clock, limits: limits), text.contains(marker) { return true }
        }
        return false
    }
}

/// Whether a template walks the parts of a message's content, as vLLM's `--chat-template-content-format auto` decides it: there is a loop
/// over `message.content` (or a variable set to it), where `message` is what a loop over `messages` gives.
private struct ContentWalk {
    private let compiled: CompiledTemplate
    /// Variables that stand for the messages, one message, a message's content.
    private var lists: Set<Int> = []
    private var messages: Set<Int> = []
    private var contents: Set<Int> = []

    static func loopsOverContent(_ compiled: CompiledTemplate) -> Bool {
        var walk = ContentWalk(compiled: compiled)
        if let id = compiled.names.firstIndex(of: "messages") { walk.lists.insert(id) }
        // Two rounds: a macro may stand before the loop that calls it.
        for _ in 0..<2 { walk.collect(compiled.body) }
        var found = false
        TreeWalk.statements(compiled.body) {
            if case .forLoop(let loop) = $0, walk.isContent(loop.sequence) { found = true }
        }
        return found
    }

    private init(compiled: CompiledTemplate) { self.compiled = compiled }

    private mutating func collect(_ body: [Statement]) {
        for statement in body {
            switch statement {
            case .forLoop(let loop):
                if case .name(let id, _) = loop.target, isList(loop.sequence) { messages.insert(id) }
            case .set(.name(let id, _), let value):
                if isList(value) { lists.insert(id) }
                if isMessage(value) { messages.insert(id) }
                if isContent(value) { contents.insert(id) }
            default: break
            }
            for expression in TreeWalk.expressions(of: statement) { collectCalls(expression) }
            for inner in TreeWalk.bodies(of: statement) { collect(inner) }
        }
    }

    /// A macro called with a message's content walks that content.
    private mutating func collectCalls(_ expression: Expression) {
        if case .call(let callee, let arguments) = expression.kind, case .name(let id) = callee.kind {
            var definition: MacroDefinition?
            TreeWalk.statements(compiled.body) { if case .macro(let macro) = $0, macro.nameID == id { definition = macro } }
            for (argument, parameter) in zip(arguments.positional, definition?.parameters ?? []) {
                if isContent(argument) { contents.insert(parameter.id) }
                if isMessage(argument) { messages.insert(parameter.id) }
            }
        }
        var children: [Expression] = []
        expression.kind.forEachChild { children.append($0) }
        for child in children { collectCalls(child) }
    }

    private func isList(_ expression: Expression) -> Bool {
        switch expression.kind {
        case .name(let id): lists.contains(id)
        case .slice(let base, _, _, _): isList(base)
        case .filter(let base?, _, _, _): isList(base)
        case .conditional(_, let then, let otherwise): isList(then) || (otherwise.map(isList) ?? false)
        default: false
        }
    }

    private func isMessage(_ expression: Expression) -> Bool {
        switch expression.kind {
        case .name(let id): messages.contains(id)
        case .item(let base, _): isList(base)
        default: false
        }
    }

    private func isContent(_ expression: Expression) -> Bool {
        switch expression.kind {
        case .name(let id): return contents.contains(id)
        case .attribute(let base, let name): return name == "content" && isMessage(base)
        case .item(let base, let key):
            if case .constant(.string("content")) = key.kind { return isMessage(base) }
            return false
        case .filter(let base?, _, _, _): return isContent(base)
        case .conditional(_, let then, let otherwise): return isContent(then) || (otherwise.map(isContent) ?? false)
        case .or(let left, let right): return isContent(left) || isContent(right)
        default: return false
        }
    }
}
