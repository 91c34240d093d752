extension Filters {
    static let sequences: [String: FilterFunction] = [
        "first": { interpreter, value, _ in
            try interpreter.iterate(value).next() ?? .undefined(Undefined("No first item, sequence was empty."))
        },
        "last": { interpreter, value, _ in
            if case .generator = value { throw TemplateError.runtime("'generator' object is not reversible") }
            return try interpreter.elements(of: value).last ?? .undefined(Undefined("No last item, sequence was empty."))
        },
        "random": { interpreter, value, _ in
            let count = try interpreter.length(of: value)
            guard count > 0 else { return .undefined(Undefined("No random item, sequence was empty.")) }
            return try interpreter.item(.int(Int.random(in: 0..<count)), of: value)
        },
        "reverse": { interpreter, value, _ in
            if value.text != nil { return try interpreter.slice(value, start: nil, stop: nil, step: -1) }
            guard try interpreter.iterator(over: value) != nil else { throw TemplateError.runtime("argument must be iterable") }
            var items = try interpreter.elements(of: value)
            if case .generator = value { return try interpreter.list(items.reversed()) }
            try interpreter.allocate(elements: items.count)
            return .generator(
                Generator(depth: try interpreter.deeper(value.depth), typeName: "list_reverseiterator") { items.popLast() })
        },
        "join": { interpreter, value, arguments in
            let bound = try arguments.bind("join", "d", "attribute")
            let separator = try interpreter.text(of: bound[0] ?? .string(""))
            let getter = try interpreter.getter(bound[1])
            let iterator = try interpreter.iterate(value)
            var result = "", isFirst = true
            while let item = try iterator.next() {
                try interpreter.charge()
                if !isFirst { result += separator }
                isFirst = false
                result += try interpreter.text(of: getter(item))
                if result.utf8.count > interpreter.limits.outputBytes { break }
            }
            return try interpreter.string(result)
        },
        "items": { interpreter, value, _ in
            if value.isUndefined { return try interpreter.generator(over: 0) { nil } }
            guard case .dict(let box) = value else { throw TemplateError.runtime("Can only get item pairs from a mapping.") }
            let iterator = ValueIterator(DictView(.items, box))
            return try interpreter.generator(over: box.depth + 1) { try iterator.next() }
        },
        "dictsort": { interpreter, value, arguments in
            let bound = try arguments.bind("dictsort", "case_sensitive", "by", "reverse")
            guard case .dict(let box) = value else { throw TemplateError.runtime("'\(value.typeName)' object has no attribute 'items'") }
            let by = try interpreter.text(of: bound[1] ?? .string("key"))
            guard by == "key" || by == "value" else { throw TemplateError.runtime("You can only sort by either \"key\" or \"value\"") }
            let isCaseSensitive = try interpreter.isTrue(bound[0] ?? .bool(false))
            let sorted = try interpreter.sorted((0..<box.count).map { DictView(.items, box).item($0) }, reverse: interpreter.isTrue(bound[2] ?? .bool(false))) {
                guard case .tuple(let pair) = $0 else { return $0 }
                let key = pair.items[by == "key" ? 0 : 1]
                return isCaseSensitive ? key : interpreter.ignoringCase(key)
            }
            return try interpreter.list(sorted)
        },
        "sort": { interpreter, value, arguments in
            let bound = try arguments.bind("sort", "reverse", "case_sensitive", "attribute")
            let isCaseSensitive = try interpreter.isTrue(bound[1] ?? .bool(false))
            var getters: [(Value) throws -> Value] = []
            if let attributes = bound[2]?.text {
                for part in attributes.split(separator: ",", omittingEmptySubsequences: false) {
                    getters.append(try interpreter.getter(.string(String(part))))
                }
            } else {
                getters = [try interpreter.getter(bound[2])]
            }
            let sorted = try interpreter.sorted(interpreter.elements(of: value), reverse: interpreter.isTrue(bound[0] ?? .bool(false))) { item in
                try interpreter.list(getters.map { isCaseSensitive ? try $0(item) : interpreter.ignoringCase(try $0(item)) })
            }
            return try interpreter.list(sorted)
        },
        "unique": { interpreter, value, arguments in
            let bound = try arguments.bind("unique", "case_sensitive", "attribute")
            let isCaseSensitive = try interpreter.isTrue(bound[0] ?? .bool(false))
            let getter = try interpreter.getter(bound[1])
            let iterator = try interpreter.iterate(value)
            var seen = Set<HashKey>()
            return try interpreter.generator(over: value.depth) { [unowned interpreter] in
                while let item = try iterator.next() {
                    try interpreter.charge()
                    let key = isCaseSensitive ? try getter(item) : interpreter.ignoringCase(try getter(item))
                    if seen.insert(try key.hashKey()).inserted { return item }
                }
                return nil
            }
        },
        "min": { try extreme($0, $1, $2, "min") { $0 < 0 } },
        "max": { try extreme($0, $1, $2, "max") { $0 > 0 } },
        "sum": { interpreter, value, arguments in
            let bound = try arguments.bind("sum", "attribute", "start")
            let getter = try interpreter.getter(bound[0])
            var sum = bound[1] ?? .int(0)
            if sum.text != nil { throw TemplateError.runtime("sum() can't sum strings [use ''.join(seq) instead]") }
            let iterator = try interpreter.iterate(value)
            while let item = try iterator.next() {
                try interpreter.charge()
                sum = try interpreter.apply(.add, sum, getter(item))
            }
            return sum
        },
        "groupby": { interpreter, value, arguments in
            let bound = try arguments.bind("groupby", "attribute", "default", "case_sensitive", required: 1)
            let isCaseSensitive = try interpreter.isTrue(bound[2] ?? .bool(false))
            let getter = try interpreter.getter(bound[0], default: bound[1])
            func key(_ item: Value) throws -> Value { isCaseSensitive ? try getter(item) : interpreter.ignoringCase(try getter(item)) }
            var groups: [(key: Value, items: [Value])] = []
            for item in try interpreter.sorted(interpreter.elements(of: value), reverse: false, by: key) {
                let own = try key(item)
                if let last = groups.indices.last, try interpreter.areEqual(groups[last].key, own) {
                    groups[last].items.append(item)
                } else {
                    groups.append((own, [item]))
                }
            }
            return try interpreter.list(
                groups.map { group in
                    .tuple(try interpreter.box([getter(group.items[0]), interpreter.list(group.items)], isGroup: true))
                })
        },
        "batch": { interpreter, value, arguments in
            let bound = try arguments.bind("batch", "linecount", "fill_with", required: 1)
            let count = try interpreter.int(bound[0] ?? .none, "batch")
            let fill = bound[1].flatMap { $0.isNone ? nil : $0 }
            let iterator = try interpreter.iterate(value)
            var ahead: Value?
            return try interpreter.generator(over: value.depth) { [unowned interpreter] in
                var items: [Value] = []
                while let item = try ahead ?? iterator.next() {
                    try interpreter.charge()
                    ahead = nil
                    if items.count == count, !items.isEmpty {
                        ahead = item
                        return try interpreter.list(items)
                    }
                    items.append(item)
                }
                if items.isEmpty { return nil }
                if let fill, items.count < count {
                    try interpreter.allocate(elements: count)
                    items += Array(repeating: fill, count: count - items.count)
                }
                return try interpreter.list(items)
            }
        },
        "slice": { interpreter, value, arguments in
            let bound = try arguments.bind("slice", "slices", "fill_with", required: 1)
            let slices = try interpreter.int(bound[0] ?? .none, "slice")
            guard slices != 0 else { throw TemplateError.runtime("integer division or modulo by zero") }
            let fill = bound[1].flatMap { $0.isNone ? nil : $0 }
            let items = try interpreter.elements(of: value)
            let size = items.count / max(slices, 1), longer = items.count % max(slices, 1)
            var number = 0, offset = 0
            return try interpreter.generator(over: value.depth) { [unowned interpreter] in
                guard number < slices else { return nil }
                let start = offset
                offset += size + (number < longer ? 1 : 0)
                var part = Array(items[start..<offset])
                if let fill, number >= longer { part.append(fill) }
                number += 1
                return try interpreter.list(part)
            }
        },
        "map": { interpreter, value, arguments in
            let iterator = try interpreter.isTrue(value) ? interpreter.iterator(over: value) : ValueIterator([])
            return try interpreter.generator(over: max(value.depth, depth(of: arguments))) { [unowned interpreter] in
                guard let iterator else { throw TemplateError.runtime("'\(value.typeName)' object is not iterable") }
                try interpreter.charge()
                // The arguments are looked at only when the first element is wanted, as Python's generators do.
                let function = try interpreter.mapping(arguments)
                return try iterator.next().map(function)
            }
        },
        "select": { try selection($0, $1, $2, byAttribute: false, keeps: true) },
        "reject": { try selection($0, $1, $2, byAttribute: false, keeps: false) },
        "selectattr": { try selection($0, $1, $2, byAttribute: true, keeps: true) },
        "rejectattr": { try selection($0, $1, $2, byAttribute: true, keeps: false) },
    ]

    private static func depth(of arguments: Arguments) -> Int {
        max(arguments.positional.map(\.depth).max() ?? 0, arguments.keywords.map(\.value.depth).max() ?? 0)
    }

    private static func extreme(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments, _ name: String, _ isBetter: (Int) -> Bool
    ) throws -> Value {
        let bound = try arguments.bind(name, "case_sensitive", "attribute")
        let isCaseSensitive = try interpreter.isTrue(bound[0] ?? .bool(false))
        let getter = try interpreter.getter(bound[1])
        let iterator = try interpreter.iterate(value)
        var best: (item: Value, key: Value)?
        while let item = try iterator.next() {
            let key = isCaseSensitive ? try getter(item) : interpreter.ignoringCase(try getter(item))
            if let current = best {
                if isBetter(try interpreter.order(key, current.key, name == "min" ? "<" : ">")) { best = (item, key) }
            } else {
                best = (item, key)
            }
        }
        return best?.item ?? .undefined(Undefined("No aggregated item, sequence was empty."))
    }

    private static func selection(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments, byAttribute: Bool, keeps: Bool
    ) throws -> Value {
        let iterator = try interpreter.isTrue(value) ? interpreter.iterator(over: value) : ValueIterator([])
        return try interpreter.generator(over: max(value.depth, depth(of: arguments))) { [unowned interpreter] in
            guard let iterator else { throw TemplateError.runtime("'\(value.typeName)' object is not iterable") }
            let matches = try interpreter.condition(arguments, byAttribute: byAttribute)
            while let item = try iterator.next() {
                try interpreter.charge()
                if try matches(item) == keeps { return item }
            }
            return nil
        }
    }
}

extension Interpreter {
    func ignoringCase(_ value: Value) -> Value {
        switch value {
        case .string(let text), .markup(let text): .string(LetterCase.lower(text))
        default: value
        }
    }

    /// Reads `a.b.0` off a value; the value itself where there is no attribute.
    func getter(_ attribute: Value?, default standard: Value? = nil) throws -> (Value) throws -> Value {
        guard let attribute, !attribute.isNone else { return { $0 } }
        var parts = [attribute]
        if let path = attribute.text {
            parts = path.split(separator: ".", omittingEmptySubsequences: false).map { part in
                let isNumber = !part.isEmpty && part.unicodeScalars.allSatisfy(\.isPythonDigit)
                return isNumber ? Int(part).map { .int($0) } ?? .string(String(part)) : .string(String(part))
            }
        }
        let replacement = standard.flatMap { $0.isNone ? nil : $0 }
        return { [unowned self] value in
            var value = value
            for part in parts {
                value = try item(part, of: value)
                if let replacement, value.isUndefined { value = replacement }
            }
            return value
        }
    }

    fileprivate func mapping(_ arguments: Arguments) throws -> (Value) throws -> Value {
        if arguments.positional.isEmpty, let attribute = arguments.keywords.first(where: { $0.name == "attribute" })?.value {
            if let other = arguments.keywords.first(where: { $0.name != "attribute" && $0.name != "default" }) {
                throw TemplateError.runtime("Unexpected keyword argument '\(other.name)'")
            }
            return try getter(attribute, default: arguments.keywords.first { $0.name == "default" }?.value)
        }
        guard let name = arguments.positional.first else { throw TemplateError.runtime("map requires a filter argument") }
        guard let filter = name.text.flatMap({ Filters.table[$0] }) else {
            throw TemplateError.runtime("No filter named \(try representation(of: name)).")
        }
        let rest = Arguments(positional: Array(arguments.positional.dropFirst()), keywords: arguments.keywords)
        return { [unowned self] in try filter(self, $0, rest) }
    }

    fileprivate func condition(_ arguments: Arguments, byAttribute: Bool) throws -> (Value) throws -> Bool {
        var positional = arguments.positional[...]
        var getter: (Value) throws -> Value = { $0 }
        if byAttribute {
            guard let attribute = positional.popFirst() else { throw TemplateError.runtime("Missing parameter for attribute name") }
            getter = try self.getter(attribute)
        }
        guard let name = positional.popFirst() else { return { [unowned self] in try isTrue(getter($0)) } }
        guard let test = name.text.flatMap({ Tests.table[$0] }) else {
            throw TemplateError.runtime("No test named \(try representation(of: name)).")
        }
        let rest = Arguments(positional: Array(positional), keywords: arguments.keywords)
        return { [unowned self] in try isTrue(test(self, getter($0), rest)) }
    }

    /// Stable, by keys that are read once.
    func sorted(_ items: [Value], reverse: Bool, by key: (Value) throws -> Value) throws -> [Value] {
        var keyed = try items.map { (key: try key($0), item: $0) }
        try allocate(elements: keyed.count * 2)
        var buffer = keyed
        var width = 1
        // Merge runs bottom up; a comparison may throw, which the library's sort also allows but not with a stable promise.
        while width < keyed.count {
            var start = 0
            while start < keyed.count {
                let middle = min(start + width, keyed.count), end = min(start + 2 * width, keyed.count)
                var left = start, right = middle
                for place in start..<end {
                    let takesRight: Bool
                    if left == middle {
                        takesRight = true
                    } else if right == end {
                        takesRight = false
                    } else {
                        let order = try order(keyed[right].key, keyed[left].key)
                        takesRight = reverse ? order > 0 : order < 0
                    }
                    buffer[place] = keyed[takesRight ? right : left]
                    if takesRight { right += 1 } else { left += 1 }
                }
                start = end
            }
            swap(&keyed, &buffer)
            width *= 2
        }
        return keyed.map(\.item)
    }
}
