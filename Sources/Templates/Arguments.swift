/// Evaluated arguments of a call.
struct Arguments {
    var positional: [Value] = []
    var keywords: [(name: String, value: Value)] = []

    /// The arguments in the order of `names`, nil where not given. Errors are Python's: too many, unknown, twice, missing.
    func bind(_ function: String, _ names: String..., required: Int = 0) throws -> [Value?] {
        guard positional.count <= names.count else {
            throw TemplateError.runtime("\(function)() takes at most \(names.count) arguments (\(positional.count) given)")
        }
        var bound = positional.map { Optional($0) }
        while bound.count < names.count { bound.append(nil) }
        for keyword in keywords {
            guard let place = names.firstIndex(where: { $0.isSame(as: keyword.name) }) else {
                throw TemplateError.runtime("\(function)() got an unexpected keyword argument '\(keyword.name)'")
            }
            guard bound[place] == nil else {
                throw TemplateError.runtime("\(function)() got multiple values for argument '\(keyword.name)'")
            }
            bound[place] = keyword.value
        }
        for place in 0..<required where bound[place] == nil {
            throw TemplateError.runtime("\(function)() missing required argument: '\(names[place])'")
        }
        return bound
    }

    /// As `bind`, for functions that take no keywords.
    func positional(_ function: String, _ range: ClosedRange<Int>) throws -> [Value] {
        guard keywords.isEmpty else { throw TemplateError.runtime("\(function)() takes no keyword arguments") }
        guard range.contains(positional.count) else {
            throw TemplateError.runtime("\(function)() takes \(range.lowerBound) to \(range.upperBound) arguments (\(positional.count) given)")
        }
        return positional
    }
}

typealias FilterFunction = @Sendable (Interpreter, Value, Arguments) throws -> Value

extension Interpreter {
    func evaluate(_ arguments: CallArguments) throws -> Arguments {
        var result = Arguments()
        if !arguments.positional.isEmpty {
            result.positional.reserveCapacity(arguments.positional.count)
            for argument in arguments.positional { result.positional.append(try evaluate(argument)) }
        }
        for keyword in arguments.keywords { result.keywords.append((keyword.name, try evaluate(keyword.value))) }
        if let list = arguments.list {
            let items = try elements(of: try evaluate(list))
            try allocate(elements: items.count)
            result.positional += items
        }
        if let mapping = arguments.mapping {
            guard case .dict(let box) = try evaluate(mapping) else { throw TemplateError.runtime("argument after ** must be a mapping") }
            for (key, value) in zip(box.keys, box.values) {
                guard let name = key.text else { throw TemplateError.runtime("keywords must be strings") }
                guard !result.keywords.contains(where: { $0.name.isSame(as: name) }) else {
                    throw TemplateError.runtime("got multiple values for keyword argument '\(name)'")
                }
                try charge(1 + result.keywords.count)
                result.keywords.append((name, value))
            }
        }
        return result
    }

    // MARK: Reading single arguments

    func int(_ value: Value, _ what: String) throws -> Int {
        switch value {
        case .int(let number): return number
        case .bool(let flag): return flag ? 1 : 0
        case .big(let number): return number.negative ? Int.min : Int.max
        case .undefined(let undefined): throw undefined.error
        default: throw TemplateError.runtime("\(what): '\(value.typeName)' object cannot be interpreted as an integer")
        }
    }

    func int(_ value: Value?, _ what: String, or standard: Int) throws -> Int { try value.map { try int($0, what) } ?? standard }

    func text(_ value: Value, _ what: String) throws -> String {
        if let text = value.text { return text }
        if case .undefined(let undefined) = value { throw undefined.error }
        throw TemplateError.runtime("\(what) must be str, not \(value.typeName)")
    }
}
