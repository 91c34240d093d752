extension Interpreter {
    /// `value.name`: a method or attribute first, then the key.
    func attribute(_ name: String, of value: Value) throws -> Value {
        switch value {
        case .undefined(let undefined): throw undefined.error
        case .dict(let box):
            if let method = knownAttribute(name, of: value) { return method }
            if let item = box[name] { return item }
        default:
            if let found = try ownAttribute(name, of: value) { return found }
        }
        return noAttribute(name, of: value)
    }

    private func noAttribute(_ name: String, of value: Value) -> Value {
        .undefined(Undefined("'\(value.ownerName)' has no attribute '\(name)'"))
    }

    /// `value[key]`: the key first, then a method or attribute.
    func item(_ key: Value, of value: Value) throws -> Value {
        switch value {
        case .undefined(let undefined): throw undefined.error
        case .dict(let box):
            if let text = key.text {
                if let item = box[text] { return item }
            } else if let hash = try? key.hashKey() {
                _ = hash
                if let item = try box.value(for: key) { return item }
            }
        case .list(let box), .tuple(let box):
            if let index = index(key, count: box.items.count) { return box.items[index] }
        case .range(let range):
            if let index = index(key, count: range.count) { return .int(range[index]) }
        case .string(let text), .markup(let text):
            if let character = self.character(of: text, at: key) { return isMarkup(value) ? .markup(character) : .string(character) }
        case .selfReference: break
        default: break
        }
        if let name = key.text {
            if let found = try ownAttribute(name, of: value) { return found }
            return noAttribute(name, of: value)
        }
        return .undefined(Undefined("\(value.ownerName) has no element \(try representation(of: key))"))
    }

    func isMarkup(_ value: Value) -> Bool { if case .markup = value { true } else { false } }

    /// A Python index as an offset; nil where it is no integer or out of range.
    private func index(_ key: Value, count: Int) -> Int? {
        let index: Int
        switch key {
        case .int(let number): index = number
        case .bool(let flag): index = flag ? 1 : 0
        default: return nil
        }
        if index >= 0 { return index < count ? index : nil }
        return index >= -count ? count + index : nil
    }

    private func character(of text: String, at key: Value) -> String? {
        let isPlain = text.isASCII
        guard let index = index(key, count: isPlain ? text.utf8.count : text.length) else { return nil }
        if isPlain { return text.bytes(index..<index + 1) }
        let scalars = text.unicodeScalars
        return String(Character(scalars[scalars.index(scalars.startIndex, offsetBy: index)]))
    }

    // MARK: Attributes

    /// A method, a field or a refused name; nil where the value has no such attribute.
    private func ownAttribute(_ name: String, of value: Value) throws -> Value? {
        switch value {
        case .namespace(let space): if let place = space.storage.place(of: name) { return space.storage.values[place] }
        case .loop(let loop): if let found = try attribute(name, of: loop) { return found }
        case .selfReference:
            if let block = template.blocks[name] {
                return .function(
                    Function(name) { interpreter, _ in
                        try interpreter.string(try interpreter.capturing { try interpreter.renderBlock(block) })
                    })
            }
        case .macro(let macro):
            let definition = macro.definition
            switch name {
            case "name": return definition.name.map { .string($0) } ?? Value.none
            case "arguments": return try tuple(definition.parameters.map { .string($0.name) })
            case "catch_kwargs": return .bool(macro.scope.special.keywords != nil)
            case "catch_varargs": return .bool(macro.scope.special.positional != nil)
            case "caller": return .bool(macro.scope.special.caller != nil)
            default: break
            }
        case .cycler(let cycler):
            switch name {
            case "current": return cycler.items[cycler.position]
            case "pos": return .int(cycler.position)
            case "items": return try tuple(cycler.items)
            default: break
            }
        case .joiner(let joiner):
            switch name {
            case "sep": return joiner.separator
            case "used": return .bool(joiner.used)
            default: break
            }
        case .tuple(let box) where box.isGroup && name == "grouper": return box.items[0]
        case .tuple(let box) where box.isGroup && name == "list": return box.items[1]
        case .int, .big, .bool:
            switch name {
            case "real", "numerator": return try positive(value)
            case "imag": return .int(0)
            case "denominator": return .int(1)
            default: break
            }
        case .float:
            switch name {
            case "real": return value
            case "imag": return .float(0)
            default: break
            }
        case .range(let range):
            switch name {
            case "start": return .int(range.start)
            case "stop": return .int(range.stop)
            case "step": return .int(range.step)
            default: break
            }
        default: break
        }
        return knownAttribute(name, of: value)
    }

    /// Methods by type, and the names the sandbox refuses.
    private func knownAttribute(_ name: String, of value: Value) -> Value? {
        if name.utf8.first == UInt8(ascii: "_") {
            guard Methods.isSpecial(name) else { return nil }
            return unsafe(name, of: value)
        }
        if Methods.names(of: value).contains(name) { return .method(BoundMethod(value, name)) }
        if Methods.mutators(of: value).contains(name) { return unsafe(name, of: value) }
        return nil
    }

    private func unsafe(_ name: String, of value: Value) -> Value {
        .undefined(Undefined("access to attribute '\(name)' of '\(value.typeName)' object is unsafe."))
    }

    private func attribute(_ name: String, of loop: LoopContext) throws -> Value? {
        switch name {
        case "index": return .int(loop.index0 + 1)
        case "index0": return .int(loop.index0)
        case "first": return .bool(loop.index0 == 0)
        case "last": return .bool(try loop.peek() == nil)
        case "length": return .int(try loop.length(self))
        case "revindex": return .int(try loop.length(self) - loop.index0)
        case "revindex0": return .int(try loop.length(self) - loop.index0 - 1)
        case "depth": return .int(loop.depth0 + 1)
        case "depth0": return .int(loop.depth0)
        case "previtem":
            guard loop.index0 > 0, let before = loop.before else { return .undefined(Undefined("there is no previous item")) }
            return before
        case "nextitem": return try loop.peek() ?? .undefined(Undefined("there is no next item"))
        default: return nil
        }
    }

    // MARK: Slices

    func slice(_ value: Value, start: Int?, stop: Int?, step: Int?) throws -> Value {
        let step = step ?? 1
        guard step != 0 else { throw TemplateError.runtime("slice step cannot be zero") }
        switch value {
        case .string(let text): return .string(try slice(text, start, stop, step))
        case .markup(let text): return .markup(try slice(text, start, stop, step))
        case .list(let box): return try list(slice(box.items, start, stop, step))
        case .tuple(let box): return try tuple(slice(box.items, start, stop, step))
        case .range(let range):
            let (first, count, end) = Self.bounds(start, stop, step, range.count)
            let (newStep, overflow) = range.step.multipliedReportingOverflow(by: step)
            guard !overflow else { throw TemplateError.runtime("range is out of bounds") }
            return .range(RangeBox(start: range[first], stop: range[end], step: newStep, count: count))
        case .undefined(let undefined): throw undefined.error
        default: throw TemplateError.runtime("'\(value.typeName)' object is not subscriptable")
        }
    }

    /// First index, number of elements, and the index a Python slice stops before.
    private static func bounds(_ start: Int?, _ stop: Int?, _ step: Int, _ count: Int) -> (first: Int, count: Int, end: Int) {
        func clamp(_ bound: Int, _ low: Int, _ high: Int) -> Int {
            let place = bound < 0 ? bound.addingReportingOverflow(count).partialValue : bound
            return bound == Int.min ? low : min(max(place, low), high)
        }
        if step > 0 {
            let first = start.map { clamp($0, 0, count) } ?? 0, end = stop.map { clamp($0, 0, count) } ?? count
            return (first, end > first ? (end - first - 1) / step + 1 : 0, end)
        }
        let first = start.map { clamp($0, -1, count - 1) } ?? count - 1, end = stop.map { clamp($0, -1, count - 1) } ?? -1
        // Python takes a step of -2^63 as -(2^63 - 1).
        return (first, first > end ? (first - end - 1) / -max(step, -Int.max) + 1 : 0, end)
    }

    private func slice(_ items: [Value], _ start: Int?, _ stop: Int?, _ step: Int) throws -> [Value] {
        let (first, count, _) = Self.bounds(start, stop, step, items.count)
        try charge(count >> 2)
        if step == 1 { return Array(items[first..<first + count]) }
        return (0..<count).map { items[first + $0 * step] }
    }

    private func slice(_ text: String, _ start: Int?, _ stop: Int?, _ step: Int) throws -> String {
        try allocate(text.utf8.count)
        if text.isASCII {
            let (first, count, _) = Self.bounds(start, stop, step, text.utf8.count)
            if step == 1 { return text.bytes(first..<first + count) }
            let bytes = Array(text.utf8)
            return String(decoding: (0..<count).map { bytes[first + $0 * step] }, as: UTF8.self)
        }
        let scalars = Array(text.unicodeScalars)
        let (first, count, _) = Self.bounds(start, stop, step, scalars.count)
        return String(scalars: (0..<count).lazy.map { scalars[first + $0 * step] })
    }
}
