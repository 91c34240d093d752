/// Jinja's built-in filters by name. Each takes the value before the bar and the arguments in its parentheses.
enum Filters {
    static let table: [String: FilterFunction] = {
        var table: [String: FilterFunction] = [
            "attr": { try $0.attributeOnly($2.bind("attr", "name", required: 1)[0] ?? .none, of: $1) },
            "default": { interpreter, value, arguments in
                let bound = try arguments.bind("default", "default_value", "boolean")
                let isReplaced = try value.isUndefined || (interpreter.isTrue(bound[1] ?? .bool(false)) && !interpreter.isTrue(value))
                return isReplaced ? bound[0] ?? .string("") : value
            },
            "length": { interpreter, value, arguments in
                _ = try arguments.bind("len")
                return .int(try interpreter.length(of: value))
            },
            "string": { interpreter, value, arguments in
                _ = try arguments.bind("string")
                return interpreter.isMarkup(value) ? value : try interpreter.string(interpreter.text(of: value))
            },
            "list": { interpreter, value, arguments in
                _ = try arguments.bind("list")
                return try interpreter.list(interpreter.elements(of: value))
            },
            "safe": { interpreter, value, _ in .markup(try interpreter.text(of: value)) },
            "escape": { interpreter, value, arguments in
                _ = try arguments.bind("escape")
                return interpreter.isMarkup(value) ? value : .markup(interpreter.escapeHTML(try interpreter.text(of: value)))
            },
            "forceescape": { interpreter, value, _ in .markup(interpreter.escapeHTML(try interpreter.text(of: value))) },
            "striptags": { interpreter, value, _ in try interpreter.string(interpreter.stripTags(interpreter.text(of: value))) },
            "tojson": { try $0.toJSON($1, $2) },
            "pprint": { interpreter, value, _ in try interpreter.string(interpreter.prettyPrinted(value)) },
        ]
        table.merge(text) { $1 }
        table.merge(sequences) { $1 }
        table.merge(numbers) { $1 }
        for (alias, name) in ["count": "length", "d": "default", "e": "escape"] { table[alias] = table[name] }
        return table
    }()
}

extension Interpreter {
    /// Python's `len`.
    func length(of value: Value) throws -> Int {
        switch value {
        case .string(let text), .markup(let text):
            try charge(text.utf8.count >> 6)
            return text.length
        case .list(let box), .tuple(let box): return box.items.count
        case .dict(let box): return box.count
        case .range(let range): return range.count
        case .view(let view): return view.count
        case .loop(let loop): return try loop.length(self)
        case .undefined: return 0
        default: throw TemplateError.runtime("object of type '\(value.typeName)' has no len()")
        }
    }

    /// An attribute, never a key.
    fileprivate func attributeOnly(_ name: Value, of value: Value) throws -> Value {
        let name = try text(name, "attribute name")
        if case .undefined(let undefined) = value { throw undefined.error }
        if case .dict = value { return try attribute(name, of: .dict(DictBox(DictStorage(), depth: 1))).withOwner(value, name) }
        return try attribute(name, of: value)
    }

    /// The text of a value, and how to give a result the same marking.
    func soft(_ value: Value) throws -> (text: String, wrap: (String) -> Value) {
        (try text(of: value), isMarkup(value) ? { .markup($0) } : { .string($0) })
    }
}

extension Value {
    /// A method found on a stand-in, bound to the real value.
    fileprivate func withOwner(_ owner: Value, _ name: String) -> Value {
        if case .method = self { .method(BoundMethod(owner, name)) } else { self }
    }
}
