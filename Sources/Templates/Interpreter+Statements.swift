enum Flow { case normal, breaks, continues }

extension Interpreter {
    func execute(_ body: [Statement]) throws -> Flow {
        try checkStack()
        for statement in body {
            try charge()
            let flow = try execute(statement)
            if flow != .normal { return flow }
        }
        return .normal
    }

    private func execute(_ statement: Statement) throws -> Flow {
        switch statement {
        case .text(let text): try write(text)
        case .output(let expression): try write(expression)
        case .ifElse(let branches, let otherwise):
            for branch in branches where try isTrue(evaluateTop(branch.test)) { return try execute(branch.body) }
            return try execute(otherwise)
        case .forLoop(let loop): try execute(loop)
        case .set(let target, let value):
            try checkNamespaces(target)
            try assign(evaluateTop(value), to: target)
        case .setBlock(let target, let filter, let body, let number): try setBlock(target, filter, body, number)
        case .macro(let definition): store(.macro(makeMacro(definition)), inName: definition.nameID)
        case .callBlock(let call, let definition): try callBlock(call, definition)
        case .filterBlock(let filter, let body, let number):
            let value = try inScope(number) {
                let text = try capturing { _ = try execute(body) }
                return try evaluate(filter, on: .string(text))
            }
            try writeText(value)
        case .with(let pairs, let body, let number): return try with(pairs, body, number)
        case .scoped(let body, let number): return try inScope(number) { try execute(body) }
        case .block(let block): try renderBlock(block)
        case .breakLoop: return .breaks
        case .continueLoop: return .continues
        case .unsupported(let tag, let line):
            throw TemplateError(.runtime, "'\(tag)' needs other templates; a chat template stands alone", line: line)
        }
        return .normal
    }

    // MARK: Output

    func write(_ text: String) throws {
        try charge(text.utf8.count >> 6)
        output += text
        if output.utf8.count > limits.outputBytes { throw TemplateError.limit("the text is longer than \(limits.outputBytes) bytes") }
    }

    private func write(_ expression: Expression) throws {
        let value = try evaluateTop(expression)
        switch value {
        case .string(let text), .markup(let text): try write(text)
        case .undefined: break
        default: try write(text(of: value))
        }
    }

    /// Writes what must be text already: Jinja joins the results of call and filter blocks without converting them.
    private func writeText(_ value: Value) throws {
        guard let text = value.text else { throw TemplateError.runtime("sequence item 0: expected str instance, \(value.typeName) found") }
        try write(text)
    }

    /// Evaluates a whole expression, and adds its line to an error.
    func evaluateTop(_ expression: Expression) throws -> Value {
        do {
            return try evaluate(expression)
        } catch var error as TemplateError where error.line == nil {
            error.line = expression.line
            throw error
        }
    }

    // MARK: Assignment

    func assign(_ value: Value, to target: Target) throws {
        switch target {
        case .name(let id, _): store(value, inName: id)
        case .namespace(let id, let attribute, _):
            guard case .namespace(let space) = self.value(ofName: id) else { return }
            guard !attribute.hasPrefix("_") else { throw TemplateError.runtime("namespace attribute with a leading underscore: \(attribute)") }
            try allocate(64)
            try space.storage.set(.string(attribute), value)
        case .tuple(let targets):
            let parts = try unpack(value, count: targets.count)
            for (part, target) in zip(parts, targets) { try assign(part, to: target) }
        }
    }

    private func unpack(_ value: Value, count: Int) throws -> [Value] {
        guard let iterator = try iterator(over: value) else {
            throw TemplateError.runtime("cannot unpack non-iterable \(value.typeName) object")
        }
        var parts: [Value] = []
        while let next = try iterator.next() {
            guard parts.count < count else { throw TemplateError.runtime("too many values to unpack (expected \(count))") }
            parts.append(next)
        }
        guard parts.count == count else {
            throw TemplateError.runtime("not enough values to unpack (expected \(count), got \(parts.count))")
        }
        return parts
    }

    private func checkNamespaces(_ target: Target) throws {
        var failure: TemplateError?
        target.forEach { part in
            guard case .namespace(let id, _, let line) = part, failure == nil else { return }
            if case .namespace = value(ofName: id) { return }
            failure = TemplateError(.runtime, "cannot assign attribute on non-namespace object", line: line)
        }
        if let failure { throw failure }
    }

    private func setBlock(_ target: Target, _ filter: Expression?, _ body: [Statement], _ number: Int) throws {
        let value = try inScope(number) {
            let text = try string(try capturing { _ = try execute(body) })
            return if let filter { try evaluate(filter, on: text) } else { text }
        }
        try checkNamespaces(target)
        try assign(value, to: target)
    }

    private func with(_ pairs: [(target: Target, value: Expression)], _ body: [Statement], _ number: Int) throws -> Flow {
        // Every value is evaluated outside, also where a target before it has the same name.
        var values: [Value] = []
        for pair in pairs { values.append(try evaluateTop(pair.value)) }
        return try inScope(number) {
            for (pair, value) in zip(pairs, values) { try assign(value, to: pair.target) }
            return try execute(body)
        }
    }

    private func evaluate(_ filter: Expression, on text: Value) throws -> Value {
        let before = captured
        captured = text
        defer { captured = before }
        return try evaluateTop(filter)
    }

    private func callBlock(_ call: Expression, _ definition: MacroDefinition) throws {
        guard case .call(let callee, let arguments) = call.kind else { return }
        let caller = makeMacro(definition)
        let function = try evaluateTop(callee)
        var values = try evaluate(arguments)
        values.keywords.append(("caller", .macro(caller)))
        do {
            try writeText(try self.call(function, values))
        } catch var error as TemplateError where error.line == nil {
            error.line = call.line
            throw error
        }
    }
}
