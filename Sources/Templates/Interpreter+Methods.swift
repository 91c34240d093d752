extension Interpreter {
    func callMethod(_ name: String, of receiver: Value, _ arguments: Arguments) throws -> Value {
        switch receiver {
        case .string(let text): return try stringMethod(name, text, arguments)
        case .markup(let text): return try markupMethod(name, text, arguments)
        case .dict(let box): return try dictMethod(name, box, arguments)
        case .list(let box):
            if name == "copy" {
                _ = try arguments.bind("copy")
                return .list(box)
            }
            return try sequenceMethod(name, box.items, arguments)
        case .tuple(let box): return try sequenceMethod(name, box.items, arguments)
        case .range(let range): return try sequenceMethod(name, (0..<range.count).map { .int(range[$0]) }, arguments)
        case .loop(let loop):
            if name == "cycle" {
                guard arguments.keywords.isEmpty, !arguments.positional.isEmpty else { throw TemplateError.runtime("no items for cycling given") }
                return arguments.positional[max(loop.index0, 0) % arguments.positional.count]
            }
            return .bool(try loop.changed(try tuple(arguments.positional), self))
        case .cycler(let cycler):
            _ = try arguments.bind(name)
            if name == "reset" {
                cycler.position = 0
                return .none
            }
            defer { cycler.position = (cycler.position + 1) % cycler.items.count }
            return cycler.items[cycler.position]
        case .int, .big, .bool, .float: return try numberMethod(name, receiver, arguments)
        case .view(let view):
            let other = try iterate(arguments.bind(name, "other", required: 1)[0] ?? .none)
            while let item = try other.next() { if try contains(.view(view), item) { return .bool(false) } }
            return .bool(true)
        case .generator(let generator):
            if name == "send" { return try generator.next() ?? .undefined(Undefined("value was undefined because a callable raised a StopIteration exception")) }
        default: break
        }
        throw TemplateError.runtime("'\(receiver.typeName)' method '\(name)' is not supported")
    }

    private func dictMethod(_ name: String, _ box: DictBox, _ arguments: Arguments) throws -> Value {
        switch name {
        case "keys", "values", "items":
            _ = try arguments.positional("dict.\(name)", 0...0)
            return .view(DictView(DictView.Kind(rawValue: name) ?? .keys, box))
        case "get":
            let values = try arguments.positional("get", 1...2)
            if let found = try box.value(for: values[0]) { return found }
            return values.count > 1 ? values[1] : .none
        case "fromkeys":
            let values = try arguments.positional("fromkeys", 1...2)
            var storage = DictStorage()
            for key in try elements(of: values[0]) { try storage.set(key, values.count > 1 ? values[1] : .none) }
            return try dict(storage)
        default:
            _ = try arguments.positional("dict.\(name)", 0...0)
            return .dict(box)
        }
    }

    private func sequenceMethod(_ name: String, _ items: [Value], _ arguments: Arguments) throws -> Value {
        if name == "count" {
            let wanted = try arguments.positional("count", 1...1)[0]
            return .int(try items.count { try areEqual($0, wanted) })
        }
        let values = try arguments.positional("index", 1...3)
        func bound(_ place: Int, _ standard: Int) throws -> Int {
            guard values.count > place else { return standard }
            let bound = try int(values[place], "index")
            return bound < 0 ? max(0, bound.addingReportingOverflow(items.count).partialValue) : min(bound, items.count)
        }
        let start = try bound(1, 0), end = try bound(2, items.count)
        if start < end { for index in start..<end where try areEqual(items[index], values[0]) { return .int(index) } }
        throw TemplateError.runtime("\(try representation(of: values[0])) is not in list")
    }

    private func numberMethod(_ name: String, _ value: Value, _ arguments: Arguments) throws -> Value {
        _ = try arguments.bind(name)
        switch (name, Number(value)) {
        case ("conjugate", _): return try positive(value)
        case ("bit_length", .int(let number)?): return .int(Int.bitWidth - number.magnitude.leadingZeroBitCount)
        case ("bit_length", .big(let number)?): return .int(number.bitCount)
        case ("bit_count", .int(let number)?): return .int(number.magnitude.nonzeroBitCount)
        case ("bit_count", .big(let number)?): return .int(number.limbs.reduce(0) { $0 + $1.nonzeroBitCount })
        case ("as_integer_ratio", .int?), ("as_integer_ratio", .big?): return try tuple([positive(value), .int(1)])
        case ("is_integer", .float(let number)?): return .bool(number.isFinite && number == number.rounded())
        case ("as_integer_ratio", .float(let number)?):
            guard number.isFinite else { throw TemplateError.runtime("cannot convert a non-finite number to integer ratio") }
            if number == 0 { return try tuple([.int(0), .int(1)]) }
            let significand = Int(number.significandBitPattern | (number.isNormal ? 1 << 52 : 0))
            let exponent = number.isNormal ? Int(number.exponentBitPattern) - 1075 : -1074
            let zeros = significand.trailingZeroBitCount
            var above = BigInt(number < 0 ? -(significand >> zeros) : significand >> zeros), below = BigInt(1)
            if exponent + zeros >= 0 { above = above.shiftedLeft(exponent + zeros) } else { below = below.shiftedLeft(-exponent - zeros) }
            return try tuple([integer(above), integer(below)])
        default: throw TemplateError.runtime("'\(value.typeName)' method '\(name)' is not supported")
        }
    }

    /// Methods of safe HTML: those of strings, whose results are safe again and whose arguments are escaped.
    private func markupMethod(_ name: String, _ text: String, _ arguments: Arguments) throws -> Value {
        switch name {
        case "striptags": return .string(try stripTags(text))
        case "unescape": return .string(try unescapeHTML(text))
        case "escape":
            let value = try arguments.bind("escape", "s", required: 1)[0] ?? .none
            return .markup(isMarkup(value) ? try self.text(of: value) : escapeHTML(try self.text(of: value)))
        default: break
        }
        var escaped = arguments
        if ["join", "replace", "ljust", "rjust", "center", "format", "removeprefix", "removesuffix"].contains(name) {
            func escape(_ value: Value) throws -> Value {
                switch value {
                case .string(let text): return .string(escapeHTML(text))
                case .list(let box): return try list(box.items.map(escape))
                case .tuple(let box): return try tuple(box.items.map(escape))
                default: return value
                }
            }
            escaped.positional = try arguments.positional.map(escape)
            escaped.keywords = try arguments.keywords.map { ($0.name, try escape($0.value)) }
        }
        func mark(_ value: Value) throws -> Value {
            switch value {
            case .string(let text): return .markup(text)
            case .list(let box): return try list(box.items.map(mark))
            case .tuple(let box): return try tuple(box.items.map(mark))
            default: return value
            }
        }
        return try mark(try stringMethod(name, text, escaped))
    }
}
