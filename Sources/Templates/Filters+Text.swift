extension Filters {
    static let text: [String: FilterFunction] = [
        "upper": { interpreter, value, _ in try mapped(interpreter, value, LetterCase.upper) },
        "lower": { interpreter, value, _ in try mapped(interpreter, value, LetterCase.lower) },
        "capitalize": { interpreter, value, _ in try mapped(interpreter, value, LetterCase.capitalize) },
        "title": { interpreter, value, _ in try mapped(interpreter, value, titled) },
        "trim": { interpreter, value, arguments in
            let set = try arguments.bind("trim", "chars")[0] ?? .none
            let (text, wrap) = try interpreter.soft(value)
            try interpreter.allocate(text.utf8.count)
            return wrap(try interpreter.stripped(text, set, left: true, right: true))
        },
        "center": { interpreter, value, arguments in
            let width = try interpreter.int(arguments.bind("center", "width")[0], "center", or: 80)
            let (text, wrap) = try interpreter.soft(value)
            return wrap(try interpreter.pad(text, to: width, .methodCenter))
        },
        "replace": { interpreter, value, arguments in
            let bound = try arguments.bind("replace", "s", "old", "count", required: 2)
            let count = bound[2].map { $0.isNone ? .int(-1) : $0 }
            let old = try interpreter.text(of: bound[0] ?? .none), new = try interpreter.text(of: bound[1] ?? .none)
            return .string(try interpreter.replace(interpreter.text(of: value), old, new, interpreter.int(count, "replace", or: -1)))
        },
        "format": { interpreter, value, arguments in
            guard arguments.positional.isEmpty || arguments.keywords.isEmpty else {
                throw TemplateError.runtime("can't handle positional and keyword arguments at the same time")
            }
            let format = try interpreter.text(of: value)
            if arguments.keywords.isEmpty {
                return try interpreter.percentFormat(format, interpreter.tuple(arguments.positional), markup: interpreter.isMarkup(value))
            }
            var storage = DictStorage()
            for keyword in arguments.keywords { try storage.set(.string(keyword.name), keyword.value) }
            return try interpreter.percentFormat(format, interpreter.dict(storage), markup: interpreter.isMarkup(value))
        },
        "indent": { interpreter, value, arguments in
            let bound = try arguments.bind("indent", "width", "first", "blank")
            let text = try interpreter.text(value, "indented value")
            let indent: String
            if let given = bound[0]?.text {
                indent = given
            } else {
                let width = try max(0, interpreter.int(bound[0], "indent", or: 4))
                try interpreter.allocate(width)
                indent = String(repeating: " ", count: width)
            }
            let first = try interpreter.isTrue(bound[1] ?? .bool(false)), blank = try interpreter.isTrue(bound[2] ?? .bool(false))
            let lines = interpreter.lines(of: text + "\n", keepingEnds: false)
            let (added, overflow) = indent.utf8.count.multipliedReportingOverflow(by: lines.count)
            try interpreter.allocate(overflow ? Int.max : added + text.utf8.count)
            var result = first ? indent : ""
            for (index, line) in lines.enumerated() {
                if index > 0 { result += blank || !line.isEmpty ? "\n" + indent : "\n" }
                result += line
            }
            return interpreter.isMarkup(value) ? .markup(result) : .string(result)
        },
        "truncate": { interpreter, value, arguments in
            let bound = try arguments.bind("truncate", "length", "killwords", "end", "leeway")
            let length = try interpreter.int(bound[0], "truncate", or: 255)
            let end = try bound[2].map { try interpreter.text($0, "end") } ?? "..."
            let leeway = try interpreter.int(bound[3].flatMap { $0.isNone ? nil : $0 }, "truncate", or: 5)
            guard length >= end.length else { throw TemplateError.runtime("expected length >= \(end.length), got \(length)") }
            guard leeway >= 0 else { throw TemplateError.runtime("expected leeway >= 0, got \(leeway)") }
            let (limit, overflow) = length.addingReportingOverflow(leeway)
            if try overflow || interpreter.length(of: value) <= limit { return value }
            let text = try interpreter.text(value, "truncated value")
            let cut = try interpreter.slice(.string(text), start: nil, stop: length - end.length, step: nil).text ?? ""
            if try interpreter.isTrue(bound[1] ?? .bool(false)) { return try interpreter.string(cut + end) }
            let lastBlank = cut.utf8.lastIndex(of: UInt8(ascii: " "))
            return try interpreter.string((lastBlank.map { String(cut[..<$0]) } ?? cut) + end)
        },
        "wordcount": { interpreter, value, _ in
            let text = try interpreter.text(of: value)
            try interpreter.charge(text.utf8.count >> 3)
            var count = 0, inWord = false
            for scalar in text.unicodeScalars {
                if scalar.isWord, !inWord { count += 1 }
                inWord = scalar.isWord
            }
            return .int(count)
        },
        "wordwrap": { interpreter, value, arguments in
            let bound = try arguments.bind("wordwrap", "width", "break_long_words", "wrapstring", "break_on_hyphens")
            let text = try interpreter.text(value, "wrapped value")
            let width = try interpreter.int(bound[0], "wordwrap", or: 79)
            let wrap = TextWrap(
                width: width, breaksLongWords: try interpreter.isTrue(bound[1] ?? .bool(true)),
                breaksOnHyphens: try interpreter.isTrue(bound[3] ?? .bool(true)))
            let separator = try bound[2].flatMap { $0.isNone ? nil : $0 }.map { try interpreter.text($0, "wrapstring") } ?? "\n"
            try interpreter.charge(text.utf8.count)
            guard width > 0 else { throw TemplateError.runtime("invalid width \(width) (must be > 0)") }
            let lines = interpreter.lines(of: text, keepingEnds: false).map { wrap.lines(of: $0).joined(separator: separator) }
            return try interpreter.string(lines.joined(separator: separator))
        },
        "urlencode": { interpreter, value, _ in try interpreter.string(interpreter.urlEncoded(value)) },
        "urlize": { try $0.urlize($1, $2) },
        "xmlattr": { interpreter, value, arguments in
            guard case .dict(let box) = value else { throw TemplateError.runtime("'\(value.typeName)' object has no attribute 'items'") }
            let spaced = try interpreter.isTrue(arguments.bind("xmlattr", "autospace")[0] ?? .bool(true))
            var parts: [String] = []
            for (key, value) in zip(box.keys, box.values) where !value.isNone && !value.isUndefined {
                let name = try interpreter.text(key, "attribute name")
                guard !name.utf8.contains(where: { "/>= \t\n\r\u{C}\u{B}".utf8.contains($0) }) else {
                    throw TemplateError.runtime("Invalid character in attribute name: \(try interpreter.representation(of: key))")
                }
                let text = try interpreter.text(of: value)
                parts.append("\(interpreter.escapeHTML(name))=\"\(interpreter.isMarkup(value) ? text : interpreter.escapeHTML(text))\"")
            }
            let result = parts.joined(separator: " ")
            return try interpreter.string(spaced && !result.isEmpty ? " " + result : result)
        },
    ]

    private static func mapped(_ interpreter: Interpreter, _ value: Value, _ map: (String) -> String) throws -> Value {
        let (text, wrap) = try interpreter.soft(value)
        try interpreter.allocate(text.utf8.count)
        try interpreter.charge(text.utf8.count >> 4)
        return wrap(map(text))
    }

    /// Words begin after white space, hyphens and opening brackets.
    private static func titled(_ text: String) -> String {
        var result = "", word: [Unicode.Scalar] = []
        func flush() {
            guard let first = word.first else { return }
            result += first.properties.uppercaseMapping + LetterCase.lower(Array(word.dropFirst()), from: 0)
            word = []
        }
        for scalar in text.unicodeScalars {
            if scalar.isPythonSpace || "-({[<".unicodeScalars.contains(scalar) {
                flush()
                result.unicodeScalars.append(scalar)
            } else {
                word.append(scalar)
            }
        }
        flush()
        return result
    }
}

extension Interpreter {
    fileprivate func urlEncoded(_ value: Value) throws -> String {
        if value.text != nil { return try quoted(value, inQuery: false) }
        let pairs: [Value]
        switch value {
        case .dict(let box): pairs = (0..<box.count).map { .tuple(ListBox([box.keys[$0], box.values[$0]], depth: box.depth + 1)) }
        case .list, .tuple, .generator, .view, .range, .undefined: pairs = try elements(of: value)
        default: return try quoted(value, inQuery: false)
        }
        return try pairs.map { pair in
            let parts = try elements(of: pair)
            guard parts.count == 2 else { throw TemplateError.runtime("not enough values to unpack (expected 2, got \(parts.count))") }
            return try "\(quoted(parts[0], inQuery: true))=\(quoted(parts[1], inQuery: true))"
        }.joined(separator: "&")
    }

    private func quoted(_ value: Value, inQuery: Bool) throws -> String {
        let text = try text(of: value)
        try allocate(text.utf8.count * 3)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if byte.isLetterOrDigit || "_.-~".utf8.contains(byte) || (!inQuery && byte == UInt8(ascii: "/")) {
                bytes.append(byte)
            } else if inQuery, byte == UInt8(ascii: " ") {
                bytes.append(UInt8(ascii: "+"))
            } else {
                let digits = Array("0123456789ABCDEF".utf8)
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
