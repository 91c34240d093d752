extension Interpreter {
    /// Python's `str`.
    func text(of value: Value) throws -> String {
        switch value {
        case .string(let text), .markup(let text): return text
        case .missing, .undefined: return ""
        default: return try representation(of: value)
        }
    }

    /// Python's `repr`.
    func representation(of value: Value) throws -> String {
        var result = ""
        try represent(value, into: &result, depth: 0)
        try allocate(result.utf8.count)
        return result
    }

    private func represent(_ value: Value, into result: inout String, depth: Int) throws {
        try charge()
        guard depth <= TemplateLimits.valueDepth * 2 else { throw TemplateError.limit("maximum recursion depth exceeded while getting the repr") }
        guard result.utf8.count <= limits.outputBytes else { throw TemplateError.limit("a text is longer than \(limits.outputBytes) bytes") }
        switch value {
        case .missing, .undefined: result += "Undefined"
        case .none: result += "None"
        case .bool(let flag): result += flag ? "True" : "False"
        case .int(let number): result += String(number)
        case .big(let number): result += try decimal(number)
        case .float(let number): result += FloatText.shortest(number)
        case .string(let text): Self.quote(text, into: &result)
        case .markup(let text):
            result += "Markup("
            Self.quote(text, into: &result)
            result += ")"
        case .list(let box): try represent(box.items, "[", "]", into: &result, depth: depth)
        case .tuple(let box): try represent(box.items, "(", box.items.count == 1 ? ",)" : ")", into: &result, depth: depth)
        case .dict(let box): try represent(box.storage, into: &result, depth: depth)
        case .range(let range):
            result += "range(\(range.start), \(range.stop)\(range.step == 1 ? "" : ", \(range.step)"))"
        case .view(let view):
            result += "dict_\(view.kind.rawValue)("
            try represent((0..<view.count).map(view.item), "[", "]", into: &result, depth: depth)
            result += ")"
        case .namespace(let space):
            result += "<Namespace "
            try represent(space.storage, into: &result, depth: depth)
            result += ">"
        case .loop(let loop): result += "<LoopContext \(loop.index0 + 1)/\(try loop.length(self))>"
        case .macro(let macro):
            result += "<Macro "
            if let name = macro.definition.name { Self.quote(name, into: &result) } else { result += "anonymous" }
            result += ">"
        case .generator(let generator): result += "<\(generator.typeName) object>"
        case .function(let function): result += "<function \(function.name)>"
        case .method(let method): result += "<built-in method \(method.name) of \(method.receiver.typeName) object>"
        case .cycler: result += "<jinja2.utils.Cycler object>"
        case .joiner: result += "<jinja2.utils.Joiner object>"
        case .selfReference: result += "<TemplateReference None>"
        }
    }

    private func represent(_ items: [Value], _ open: String, _ close: String, into result: inout String, depth: Int) throws {
        result += open
        for (index, item) in items.enumerated() {
            if index > 0 { result += ", " }
            try represent(item, into: &result, depth: depth + 1)
        }
        result += close
    }

    private func represent(_ storage: DictStorage, into result: inout String, depth: Int) throws {
        result += "{"
        for (index, key) in storage.keys.enumerated() {
            if index > 0 { result += ", " }
            try represent(key, into: &result, depth: depth + 1)
            result += ": "
            try represent(storage.values[index], into: &result, depth: depth + 1)
        }
        result += "}"
    }

    /// Decimal digits, with Python's bound on their number.
    func decimal(_ number: BigInt) throws -> String {
        try charge(number.limbs.count * number.limbs.count >> 3)
        // 4300 digits are just under 14285 bits.
        guard number.bitCount <= 14_285 else {
            throw TemplateError.runtime("Exceeds the limit (\(TemplateLimits.integerDigits) digits) for integer string conversion")
        }
        return number.text()
    }

    /// A Python string literal.
    static func quote(_ text: String, into result: inout String) {
        let quote: Unicode.Scalar = text.utf8.contains(UInt8(ascii: "'")) && !text.utf8.contains(UInt8(ascii: "\"")) ? "\"" : "'"
        result.unicodeScalars.append(quote)
        for scalar in text.unicodeScalars {
            switch scalar {
            case quote, "\\":
                result += "\\"
                result.unicodeScalars.append(scalar)
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                if scalar.isPythonPrintable {
                    result.unicodeScalars.append(scalar)
                } else {
                    let digits = String(scalar.value, radix: 16)
                    let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
                    result += "\\\(letter)\(String(repeating: "0", count: width - digits.count))\(digits)"
                }
            }
        }
        result.unicodeScalars.append(quote)
    }
}
