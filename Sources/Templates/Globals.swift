/// Functions every template sees.
enum Globals {
    static let table: [String: Function] = {
        var table: [String: Function] = [:]
        func add(_ name: String, _ body: @escaping @Sendable (Interpreter, Arguments) throws -> Value) { table[name] = Function(name, body) }
        add("raise_exception") { interpreter, arguments in
            let message = try arguments.bind("raise_exception", "message", required: 1)[0] ?? .none
            throw TemplateError(.raised, try interpreter.text(of: message))
        }
        add("strftime_now") { interpreter, arguments in
            let format = try interpreter.text(arguments.bind("strftime_now", "format", required: 1)[0] ?? .none, "strftime() argument 1")
            return try interpreter.string(interpreter.clock.now().formatted(format))
        }
        add("range") { try $0.range($1) }
        add("dict") { interpreter, arguments in try interpreter.dict(interpreter.storage(from: arguments)) }
        add("namespace") { interpreter, arguments in
            let storage = try interpreter.storage(from: arguments)
            for key in storage.keys where key.text?.hasPrefix("_") ?? false {
                throw TemplateError.runtime("namespace attribute with a leading underscore: \(try interpreter.text(of: key))")
            }
            let space = try interpreter.namespace()
            space.storage = storage
            return .namespace(space)
        }
        add("cycler") { interpreter, arguments in
            guard arguments.keywords.isEmpty, !arguments.positional.isEmpty else { throw TemplateError.runtime("at least one item has to be provided") }
            try interpreter.allocate(elements: arguments.positional.count + 4)
            return .cycler(Cycler(arguments.positional, depth: try interpreter.depth(around: arguments.positional)))
        }
        add("joiner") { interpreter, arguments in
            let separator = try arguments.bind("joiner", "sep")[0] ?? .string(", ")
            _ = try interpreter.deeper(separator.depth)
            try interpreter.allocate(elements: 4)
            return .joiner(Joiner(separator))
        }
        add("lipsum") { interpreter, arguments in
            let bound = try arguments.bind("lipsum", "n", "html", "min", "max")
            let count = try interpreter.int(bound[0], "lipsum", or: 5)
            let isHTML = try interpreter.isTrue(bound[1] ?? .bool(true))
            // Jinja's is random; a prompt is better off without surprises.
            let words = "Lorem ipsum dolor sit amet consectetuer adipiscing elit sed diam nonummy nibh euismod tincidunt ut laoreet dolore magna."
            let (bytes, overflow) = max(count, 0).multipliedReportingOverflow(by: words.utf8.count + 8)
            try interpreter.allocate(overflow ? Int.max : bytes)
            let paragraphs = (0..<max(count, 0)).map { _ in isHTML ? "<p>\(words)</p>" : words }
            let text = paragraphs.joined(separator: isHTML ? "\n" : "\n\n")
            return isHTML ? .markup(text) : .string(text)
        }
        return table
    }()
}

extension Interpreter {
    fileprivate func range(_ arguments: Arguments) throws -> Value {
        let values = try arguments.positional("range", 1...3)
        func bound(_ value: Value) throws -> Int {
            if case .big = value { throw TemplateError.runtime("Python int too large to convert to C ssize_t") }
            return try int(value, "range")
        }
        let start = values.count > 1 ? try bound(values[0]) : 0
        let stop = try bound(values[values.count > 1 ? 1 : 0])
        let step = values.count > 2 ? try bound(values[2]) : 1
        guard step != 0 else { throw TemplateError.runtime("range() arg 3 must not be zero") }
        let isEmpty = step > 0 ? start >= stop : start <= stop
        let distance = step > 0 ? UInt(bitPattern: stop) &- UInt(bitPattern: start) : UInt(bitPattern: start) &- UInt(bitPattern: stop)
        let count = isEmpty ? 0 : (distance - 1) / step.magnitude + 1
        guard count <= UInt(limits.rangeItems) else {
            throw TemplateError.limit("Range too big. The sandbox blocks ranges larger than MAX_RANGE (\(limits.rangeItems)).")
        }
        return .range(RangeBox(start: start, stop: stop, step: step, count: Int(count)))
    }

    /// `dict(mapping or pairs, **keywords)`
    fileprivate func storage(from arguments: Arguments) throws -> DictStorage {
        guard arguments.positional.count <= 1 else {
            throw TemplateError.runtime("dict expected at most 1 argument, got \(arguments.positional.count)")
        }
        var storage = DictStorage()
        if let source = arguments.positional.first {
            if case .dict(let box) = source {
                storage = box.storage
            } else {
                for pair in try elements(of: source) {
                    let parts = try elements(of: pair)
                    guard parts.count == 2 else {
                        throw TemplateError.runtime("dictionary update sequence element has length \(parts.count); 2 is required")
                    }
                    try storage.set(parts[0], parts[1])
                }
            }
        }
        for keyword in arguments.keywords { try storage.set(.string(keyword.name), keyword.value) }
        return storage
    }
}
