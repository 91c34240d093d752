extension Interpreter {
    /// One node. Each kind has a function of its own: the frame of this one is on the stack once for every level of nesting.
    func evaluate(_ expression: Expression) throws -> Value {
        try charge()
        switch expression.kind {
        case .constant(let constant): return constant.value
        case .name(let id): return value(ofName: id)
        case .attribute(let base, let name): return try attribute(name, of: evaluate(base))
        case .item(let base, let key): return try item(base, key)
        case .call(let callee, let arguments): return try call(callee, arguments, line: expression.line)
        case .filter(let operand, let name, let function, let arguments):
            return try filter(operand, name, function, arguments, line: expression.line)
        case .test(let operand, let name, let function, let arguments): return try test(operand, name, function, arguments)
        case .not(let operand): return .bool(try !isTrue(evaluate(operand)))
        case .binary(let op, let left, let right): return try binary(op, left, right)
        case .and(let left, let right):
            let value = try evaluate(left)
            return try isTrue(value) ? evaluate(right) : value
        case .or(let left, let right):
            let value = try evaluate(left)
            return try isTrue(value) ? value : evaluate(right)
        case .compare(let first, let rest): return try compare(first, rest)
        case .conditional(let test, let then, let otherwise): return try conditional(test, then, otherwise, line: expression.line)
        case .concatenation(let parts): return try concatenation(parts)
        case .list(let items): return try list(evaluateAll(items))
        case .tuple(let items): return try tuple(evaluateAll(items))
        case .dict(let pairs): return try dict(pairs)
        case .slice(let base, let start, let stop, let step): return try slice(base, start, stop, step)
        case .negative(let operand): return try negative(evaluate(operand))
        case .positive(let operand): return try positive(evaluate(operand))
        }
    }

    private func evaluateAll(_ expressions: [Expression]) throws -> [Value] {
        var values: [Value] = []
        values.reserveCapacity(expressions.count)
        for expression in expressions { values.append(try evaluate(expression)) }
        return values
    }

    private func item(_ base: Expression, _ key: Expression) throws -> Value {
        let value = try evaluate(base)
        return try item(evaluate(key), of: value)
    }

    private func binary(_ op: Operator, _ left: Expression, _ right: Expression) throws -> Value {
        let value = try evaluate(left)
        return try apply(op, value, evaluate(right))
    }

    private func compare(_ first: Expression, _ rest: [(comparison: Comparison, operand: Expression)]) throws -> Value {
        var left = try evaluate(first)
        for (comparison, operand) in rest {
            let right = try evaluate(operand)
            guard try compare(left, comparison, right) else { return .bool(false) }
            left = right
        }
        return .bool(true)
    }

    private func conditional(_ test: Expression, _ then: Expression, _ otherwise: Expression?, line: Int) throws -> Value {
        if try isTrue(evaluate(test)) { return try evaluate(then) }
        if let otherwise { return try evaluate(otherwise) }
        return .undefined(Undefined("the inline if-expression on line \(line) evaluated to false and no else section was defined."))
    }

    private func concatenation(_ parts: [Expression]) throws -> Value {
        var result = ""
        for part in parts {
            result += try text(of: evaluate(part))
            if result.utf8.count > limits.outputBytes { break }
        }
        return try string(result)
    }

    private func dict(_ pairs: [(key: Expression, value: Expression)]) throws -> Value {
        var storage = DictStorage(capacity: pairs.count)
        for pair in pairs {
            let key = try evaluate(pair.key)
            try storage.set(key, evaluate(pair.value))
        }
        return try dict(storage)
    }

    private func slice(_ base: Expression, _ start: Expression?, _ stop: Expression?, _ step: Expression?) throws -> Value {
        let value = try evaluate(base)
        func bound(_ expression: Expression?) throws -> Int? {
            guard let expression else { return nil }
            let value = try evaluate(expression)
            switch value {
            case .none: return nil
            case .int, .bool, .big: return try int(value, "slice")
            default: throw TemplateError.runtime("slice indices must be integers or None or have an __index__ method")
            }
        }
        return try slice(value, start: bound(start), stop: bound(stop), step: bound(step))
    }

    private func call(_ callee: Expression, _ arguments: CallArguments, line: Int) throws -> Value {
        let function = try evaluate(callee)
        let values = try evaluate(arguments)
        do {
            return try call(function, values)
        } catch var error as TemplateError where error.line == nil {
            error.line = line
            throw error
        }
    }

    private func filter(_ operand: Expression?, _ name: String, _ function: FilterFunction?, _ arguments: CallArguments, line: Int) throws -> Value {
        let value = if let operand { try evaluate(operand) } else { captured }
        let values = try evaluate(arguments)
        guard let function else { throw TemplateError.runtime("No filter named '\(name)' found.") }
        do {
            return try function(self, value, values)
        } catch var error as TemplateError where error.line == nil {
            error.line = line
            throw error
        }
    }

    private func test(_ operand: Expression, _ name: String, _ function: FilterFunction?, _ arguments: CallArguments) throws -> Value {
        let value = try evaluate(operand)
        let values = try evaluate(arguments)
        guard let function else { throw TemplateError.runtime("No test named '\(name)' found.") }
        return try function(self, value, values)
    }

    func call(_ function: Value, _ arguments: Arguments) throws -> Value {
        switch function {
        case .function(let function): return try function.body(self, arguments)
        case .method(let method): return try callMethod(method.name, of: method.receiver, arguments)
        case .macro(let macro): return try call(macro, arguments)
        case .loop(let loop):
            guard let recursion = loop.recursion else {
                throw TemplateError.runtime("The loop must have the 'recursive' marker to be called recursively.")
            }
            let sequence = try arguments.bind("loop", "iterable", required: 1)[0] ?? .none
            return try string(
                try renderRecursive(
                    recursion.loop, over: sequence, depth0: loop.depth0 + 1, frame: recursion.frame, scope: recursion.scope))
        case .joiner(let joiner):
            _ = try arguments.bind("joiner")
            defer { joiner.used = true }
            return joiner.used ? joiner.separator : .string("")
        case .undefined(let undefined): throw undefined.error
        default: throw TemplateError.runtime("'\(function.typeName)' object is not callable")
        }
    }

    /// Python's truth of a value.
    func isTrue(_ value: Value) throws -> Bool {
        switch value {
        case .missing, .undefined, .none: false
        case .bool(let flag): flag
        case .int(let number): number != 0
        case .float(let number): number != 0
        case .string(let text), .markup(let text): !text.isEmpty
        case .list(let box), .tuple(let box): !box.items.isEmpty
        case .dict(let box): box.count > 0
        case .range(let range): range.count > 0
        case .view(let view): view.count > 0
        case .loop(let loop): try loop.length(self) > 0
        default: true
        }
    }
}
