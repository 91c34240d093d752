extension Interpreter {
    /// `tojson` as transformers defines it: Python's `json.dumps` with `ensure_ascii=False`, without HTML escapes.
    func toJSON(_ value: Value, _ arguments: Arguments) throws -> Value {
        let bound = try arguments.bind("tojson", "ensure_ascii", "indent", "separators", "sort_keys")
        var style = JSONStyle()
        style.isASCII = try isTrue(bound[0] ?? .bool(false))
        style.sortsKeys = try isTrue(bound[3] ?? .bool(false))
        if let indent = bound[1], !indent.isNone {
            if let text = indent.text {
                style.indent = text
            } else {
                let width = max(0, try int(indent, "indent"))
                try allocate(width)
                style.indent = String(repeating: " ", count: width)
            }
            style.itemSeparator = ","
        }
        if let separators = bound[2], !separators.isNone {
            let pair = try elements(of: separators)
            guard pair.count == 2 else { throw TemplateError.runtime("separators must be a pair") }
            style.itemSeparator = try text(pair[0], "separator")
            style.keySeparator = try text(pair[1], "separator")
        }
        var result = ""
        try writeJSON(value, style, level: 0, into: &result)
        return try string(result)
    }

    private struct JSONStyle {
        var isASCII = false, sortsKeys = false
        var indent: String?
        var itemSeparator = ", ", keySeparator = ": "
    }

    private func writeJSON(_ value: Value, _ style: JSONStyle, level: Int, into result: inout String) throws {
        try charge()
        guard result.utf8.count <= limits.outputBytes else { throw TemplateError.limit("a text is longer than \(limits.outputBytes) bytes") }
        switch value {
        case .none: result += "null"
        case .bool(let flag): result += flag ? "true" : "false"
        case .int(let number): result += String(number)
        case .big(let number): result += try decimal(number)
        case .float(let number):
            result += number.isNaN ? "NaN" : number.isInfinite ? (number < 0 ? "-Infinity" : "Infinity") : FloatText.shortest(number)
        case .string(let text), .markup(let text): try quoteJSON(text, style, into: &result)
        case .list(let box), .tuple(let box):
            guard !box.items.isEmpty else {
                result += "[]"
                return
            }
            result += "["
            for (index, item) in box.items.enumerated() {
                if index > 0 { result += style.itemSeparator }
                newLine(style, level + 1, &result)
                try writeJSON(item, style, level: level + 1, into: &result)
            }
            newLine(style, level, &result)
            result += "]"
        case .dict(let box):
            guard box.count > 0 else {
                result += "{}"
                return
            }
            var places = Array(box.keys.indices)
            if style.sortsKeys {
                let sorted = try sorted(places.map { .int($0) }, reverse: false) { place in
                    if case .int(let index) = place { box.keys[index] } else { place }
                }
                places = sorted.compactMap { if case .int(let index) = $0 { index } else { nil } }
            }
            result += "{"
            for (index, place) in places.enumerated() {
                if index > 0 { result += style.itemSeparator }
                newLine(style, level + 1, &result)
                try quoteJSON(keyText(box.keys[place]), style, into: &result)
                result += style.keySeparator
                try writeJSON(box.values[place], style, level: level + 1, into: &result)
            }
            newLine(style, level, &result)
            result += "}"
        default: throw TemplateError.runtime("Object of type \(value.typeName) is not JSON serializable")
        }
    }

    private func newLine(_ style: JSONStyle, _ level: Int, _ result: inout String) {
        guard let indent = style.indent else { return }
        result += "\n"
        for _ in 0..<level { result += indent }
    }

    private func keyText(_ key: Value) throws -> String {
        switch key {
        case .string(let text), .markup(let text): text
        case .none: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .int, .big, .float: try text(of: key)
        default: throw TemplateError.runtime("keys must be str, int, float, bool or None, not \(key.typeName)")
        }
    }

    private func quoteJSON(_ text: String, _ style: JSONStyle, into result: inout String) throws {
        try charge(text.utf8.count >> 5)
        func escape(_ unit: UInt32) {
            let digits = String(unit, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
        result += "\""
        let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") && (!style.isASCII || $0 < 0x7F) }
        if isPlain {
            result += text
        } else {
            for scalar in text.unicodeScalars {
                switch scalar {
                case "\"": result += "\\\""
                case "\\": result += "\\\\"
                case "\n": result += "\\n"
                case "\r": result += "\\r"
                case "\t": result += "\\t"
                case "\u{8}": result += "\\b"
                case "\u{C}": result += "\\f"
                default:
                    if scalar.value < 0x20 || (style.isASCII && scalar.value > 0x7E && scalar.value != 0x7F) {
                        for unit in String(Character(scalar)).utf16 { escape(UInt32(unit)) }
                    } else {
                        result.unicodeScalars.append(scalar)
                    }
                }
            }
        }
        result += "\""
    }
}
