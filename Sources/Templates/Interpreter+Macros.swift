/// A macro with the variables it was defined among.
final class Macro {
    let definition: MacroDefinition
    let scope: Scope
    let home: Frame

    init(_ definition: MacroDefinition, scope: Scope, home: Frame) {
        self.definition = definition
        self.scope = scope
        self.home = home
    }
}

extension Interpreter {
    func makeMacro(_ definition: MacroDefinition) -> Macro {
        retain(frame)
        return Macro(definition, scope: template.scopes[definition.scope], home: frame)
    }

    func call(_ macro: Macro, _ arguments: Arguments) throws -> Value {
        let definition = macro.definition, parameters = definition.parameters
        var keywords = arguments.keywords
        func take(_ name: String) -> Value? {
            keywords.firstIndex { $0.name.isSame(as: name) }.map { keywords.remove(at: $0).value }
        }
        var values = Array(arguments.positional.prefix(parameters.count)).map { Optional($0) }
        var foundCaller = values.count == parameters.count && parameters.contains { $0.name == "caller" }
        for parameter in parameters[values.count...] {
            values.append(take(parameter.name))
            if parameter.name == "caller" { foundCaller = true }
        }
        let special = macro.scope.special
        var caller: Value?
        if special.caller != nil, !foundCaller {
            caller = take("caller")
            if caller?.isNone ?? true { caller = .undefined(Undefined("No caller defined")) }
        }
        let name = definition.name.map { "'\($0)'" } ?? "None"
        if special.keywords == nil, let extra = keywords.first {
            guard extra.name != "caller" else {
                throw TemplateError.runtime(
                    "macro \(name) was invoked with two values for the special caller argument. This is most likely a bug.")
            }
            throw TemplateError.runtime("macro \(name) takes no keyword argument '\(extra.name)'")
        }
        let extras = Array(arguments.positional.dropFirst(parameters.count))
        if special.positional == nil, !extras.isEmpty {
            throw TemplateError.runtime("macro \(name) takes not more than \(parameters.count) argument(s)")
        }
        return try nested {
            let (callerFrame, callerScope) = (frame, scope)
            frame = Frame(slots: template.slotCounts[macro.scope.function], parent: macro.home)
            defer { (frame, scope) = (callerFrame, callerScope) }
            enter(macro.scope)
            if let slot = special.caller { frame.slots[slot] = caller ?? .missing }
            if let slot = special.keywords {
                var storage = DictStorage()
                for keyword in keywords { try storage.set(.string(keyword.name), keyword.value) }
                frame.slots[slot] = try dict(storage)
            }
            if let slot = special.positional { frame.slots[slot] = try tuple(extras) }
            for (parameter, value) in zip(parameters, values) { if let value { store(value, inName: parameter.id) } }
            try fillDefaults(definition, given: values)
            return try string(try capturing { _ = try execute(definition.body) })
        }
    }

    /// Defaults are evaluated at each call, from left to right, and see the parameters before them.
    private func fillDefaults(_ definition: MacroDefinition, given values: [Value?]) throws {
        let firstDefault = definition.parameters.count - definition.defaults.count
        for (index, parameter) in definition.parameters.enumerated() where values[index] == nil {
            if index >= firstDefault {
                store(try evaluateTop(definition.defaults[index - firstDefault]), inName: parameter.id)
            } else {
                store(.undefined(Undefined("parameter '\(parameter.name)' was not provided")), inName: parameter.id)
            }
        }
    }

    func renderBlock(_ block: BlockDefinition) throws {
        if block.isRequired { throw TemplateError(.runtime, "Required block '\(block.name)' not found", line: block.line) }
        try nested {
            let (callerFrame, callerScope, before) = (frame, scope, context)
            defer { (frame, scope, context) = (callerFrame, callerScope, before) }
            if block.isScoped {
                for id in context.indices where scope.references[id].slot >= 0 {
                    let value = read(scope.references[id])
                    if case .missing = value { continue }
                    context[id] = value
                }
            }
            let inner = template.scopes[block.scope]
            frame = Frame(slots: template.slotCounts[inner.function], parent: nil)
            enter(inner)
            if let slot = inner.special.template { frame.slots[slot] = .selfReference }
            if let slot = inner.special.parent {
                frame.slots[slot] = .undefined(Undefined("there is no parent block called '\(block.name)'."))
            }
            _ = try execute(block.body)
        }
    }
}
