/// Jinja's built-in tests, the words after `is`.
enum Tests {
    static let table: [String: FilterFunction] = {
        var table: [String: FilterFunction] = [
            "odd": { interpreter, value, _ in .bool(try interpreter.areEqual(interpreter.apply(.modulo, value, .int(2)), .int(1))) },
            "even": { interpreter, value, _ in .bool(try interpreter.areEqual(interpreter.apply(.modulo, value, .int(2)), .int(0))) },
            "divisibleby": { interpreter, value, arguments in
                let divisor = try arguments.bind("divisibleby", "num", required: 1)[0] ?? .none
                return .bool(try interpreter.areEqual(interpreter.apply(.modulo, value, divisor), .int(0)))
            },
            "defined": { _, value, _ in .bool(!value.isUndefined) },
            "undefined": { _, value, _ in .bool(value.isUndefined) },
            "filter": { _, value, _ in .bool(value.text.map { Filters.table[$0] != nil } ?? false) },
            "test": { _, value, _ in .bool(value.text.map { Tests.table[$0] != nil } ?? false) },
            "none": { _, value, _ in .bool(value.isNone) },
            "boolean": { _, value, _ in if case .bool = value { .bool(true) } else { .bool(false) } },
            "true": { _, value, _ in if case .bool(true) = value { .bool(true) } else { .bool(false) } },
            "false": { _, value, _ in if case .bool(false) = value { .bool(true) } else { .bool(false) } },
            "integer": { _, value, _ in
                switch value {
                case .int, .big: .bool(true)
                default: .bool(false)
                }
            },
            "float": { _, value, _ in if case .float = value { .bool(true) } else { .bool(false) } },
            "number": { _, value, _ in .bool(Number(value) != nil) },
            "string": { _, value, _ in .bool(value.text != nil) },
            "lower": { interpreter, value, _ in .bool(Interpreter.isClass("islower", try interpreter.text(of: value))) },
            "upper": { interpreter, value, _ in .bool(Interpreter.isClass("isupper", try interpreter.text(of: value))) },
            "mapping": { _, value, _ in if case .dict = value { .bool(true) } else { .bool(false) } },
            "sequence": { _, value, _ in
                switch value {
                case .string, .markup, .list, .tuple, .dict, .range, .undefined: .bool(true)
                default: .bool(false)
                }
            },
            "iterable": { interpreter, value, _ in
                if case .loop = value { return .bool(true) }
                return .bool(try interpreter.iterator(over: value) != nil)
            },
            "callable": { _, value, _ in
                switch value {
                case .function, .method, .macro, .loop, .joiner, .undefined: .bool(true)
                default: .bool(false)
                }
            },
            "escaped": { interpreter, value, _ in .bool(interpreter.isMarkup(value)) },
            "sameas": { interpreter, value, arguments in
                .bool(try interpreter.isSameObject(value, arguments.bind("sameas", "other", required: 1)[0] ?? .none))
            },
        ]
        let comparisons: [(names: [String], comparison: Comparison)] = [
            (["==", "eq", "equalto"], .equal), (["!=", "ne"], .notEqual), ([">", "gt", "greaterthan"], .greater), ([">=", "ge"], .greaterEqual),
            (["<", "lt", "lessthan"], .less), (["<=", "le"], .lessEqual), (["in"], .isIn),
        ]
        for (names, comparison) in comparisons {
            for name in names {
                table[name] = { interpreter, value, arguments in
                    let other = try arguments.bind(name, "other", required: 1)[0] ?? .none
                    return .bool(try interpreter.compare(value, comparison, other))
                }
            }
        }
        return table
    }()
}
