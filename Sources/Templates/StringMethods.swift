extension Interpreter {
    /// `str`'s methods.
    func stringMethod(_ name: String, _ text: String, _ arguments: Arguments) throws -> Value {
        try charge(1 + text.utf8.count >> 4)
        switch name {
        case "upper": return try mapped(text, name, arguments, LetterCase.upper)
        case "lower": return try mapped(text, name, arguments, LetterCase.lower)
        case "title": return try mapped(text, name, arguments, LetterCase.title)
        case "capitalize": return try mapped(text, name, arguments, LetterCase.capitalize)
        case "swapcase": return try mapped(text, name, arguments, LetterCase.swap)
        case "casefold": return try mapped(text, name, arguments, LetterCase.fold)
        case "strip", "lstrip", "rstrip":
            let set = try arguments.positional(name, 0...1).first ?? .none
            return try string(stripped(text, set, left: name != "rstrip", right: name != "lstrip"))
        case "split", "rsplit":
            let bound = try arguments.bind(name, "sep", "maxsplit")
            return try split(text, by: bound[0] ?? .none, limit: int(bound[1], "maxsplit", or: -1), fromRight: name == "rsplit")
        case "splitlines":
            let keeps = try isTrue(arguments.bind(name, "keepends")[0] ?? .bool(false))
            return try list(lines(of: text, keepingEnds: keeps).map { .string($0) })
        case "partition", "rpartition": return try partition(text, arguments, fromRight: name == "rpartition")
        case "replace":
            let values = try arguments.positional(name, 2...3)
            let limit = values.count > 2 ? try int(values[2], "replace") : -1
            return .string(try replace(text, self.text(values[0], "replace() argument 1"), self.text(values[1], "replace() argument 2"), limit))
        case "join": return try join(text, try arguments.positional(name, 1...1)[0])
        case "startswith", "endswith": return try hasAffix(text, arguments, isPrefix: name == "startswith")
        case "removeprefix", "removesuffix":
            let affix = try self.text(arguments.positional(name, 1...1)[0], "\(name)() argument")
            let isPrefix = name == "removeprefix"
            let matches = isPrefix ? text.utf8.starts(with: affix.utf8) : text.utf8.reversed().starts(with: affix.utf8.reversed())
            guard matches else { return .string(text) }
            let count = text.utf8.count, width = affix.utf8.count
            return try string(text.bytes(isPrefix ? width..<count : 0..<count - width))
        case "find", "rfind", "index", "rindex", "count": return try search(name, text, arguments)
        case "center", "ljust", "rjust":
            let values = try arguments.positional(name, 1...2)
            let fill = values.count > 1 ? try self.text(values[1], "The fill character") : " "
            guard fill.length == 1 else { throw TemplateError.runtime("The fill character must be exactly one character long") }
            let alignment: Alignment = name == "center" ? .methodCenter : name == "ljust" ? .left : .right
            return .string(try pad(text, to: int(values[0], name), alignment, fill))
        case "zfill":
            let width = try int(arguments.positional(name, 1...1)[0], name)
            let hasSign = text.hasPrefix("-") || text.hasPrefix("+")
            let missing = width - text.length
            guard missing > 0 else { return .string(text) }
            try allocate(width)
            let zeros = String(repeating: "0", count: missing)
            return .string(hasSign ? text.bytes(0..<1) + zeros + text.bytes(1..<text.utf8.count) : zeros + text)
        case "expandtabs": return try expandTabs(text, int(arguments.bind(name, "tabsize")[0], name, or: 8))
        case "format": return try string(braceFormat(text, arguments))
        case "format_map":
            guard case .dict(let box) = try arguments.positional(name, 1...1)[0] else { throw TemplateError.runtime("format_map() needs a mapping") }
            let keywords = zip(box.keys, box.values).compactMap { key, value in key.text.map { (name: $0, value: value) } }
            return try string(braceFormat(text, Arguments(keywords: keywords)))
        case "encode", "maketrans", "translate": throw TemplateError.runtime("str.\(name)() is not supported in chat templates")
        default:
            _ = try arguments.positional(name, 0...0)
            return .bool(Self.isClass(name, text))
        }
    }

    private func mapped(_ text: String, _ name: String, _ arguments: Arguments, _ map: (String) -> String) throws -> Value {
        _ = try arguments.positional(name, 0...0)
        return try string(map(text))
    }

    /// The `is…` methods.
    static func isClass(_ name: String, _ text: String) -> Bool {
        let scalars = text.unicodeScalars
        func all(_ property: (Unicode.Scalar) -> Bool) -> Bool { !scalars.isEmpty && scalars.allSatisfy(property) }
        switch name {
        case "isalnum": return all(\.isPythonAlphanumeric)
        case "isalpha": return all(\.isPythonAlpha)
        case "isascii": return text.isASCII
        case "isdecimal": return all(\.isPythonDecimal)
        case "isdigit": return all(\.isPythonDigit)
        case "isnumeric": return all(\.isPythonNumeric)
        case "isspace": return all(\.isPythonSpace)
        case "isprintable": return scalars.allSatisfy(\.isPythonPrintable)
        case "isidentifier":
            guard let first = scalars.first, first == "_" || first.properties.isXIDStart else { return false }
            return scalars.dropFirst().allSatisfy { $0.properties.isXIDContinue }
        case "islower", "isupper":
            var found = false
            for scalar in scalars {
                if name == "islower" ? scalar.properties.isLowercase : scalar.properties.isUppercase { found = true } else if scalar.isCased { return false }
            }
            return found
        default:  // istitle
            var found = false, afterCased = false
            for scalar in scalars {
                let isTitle = scalar.properties.isUppercase || scalar.properties.generalCategory == .titlecaseLetter
                if isTitle {
                    if afterCased { return false }
                    (found, afterCased) = (true, true)
                } else if scalar.properties.isLowercase {
                    if !afterCased { return false }
                    found = true
                } else {
                    afterCased = false
                }
            }
            return found
        }
    }

    /// Without the characters of a set (white space where it is none) at the ends.
    func stripped(_ text: String, _ set: Value, left: Bool, right: Bool) throws -> String {
        let isStripped: (Unicode.Scalar) -> Bool
        if set.isNone {
            isStripped = \.isPythonSpace
        } else {
            let characters = Set(try self.text(set, "strip arg").unicodeScalars)
            isStripped = { characters.contains($0) }
        }
        let scalars = text.unicodeScalars
        var start = scalars.startIndex, end = scalars.endIndex
        if left { while start < end, isStripped(scalars[start]) { scalars.formIndex(after: &start) } }
        if right {
            while start < end {
                let last = scalars.index(before: end)
                guard isStripped(scalars[last]) else { break }
                end = last
            }
        }
        return String(scalars[start..<end])
    }

    // MARK: Search

    /// Byte range of a window given in code points, as Python's `start` and `end`; nil where it lies outside the text.
    private func window(_ text: String, _ bytes: [UInt8], _ start: Value?, _ end: Value?) throws -> Range<Int>? {
        if start?.isNone ?? true, end?.isNone ?? true { return 0..<bytes.count }
        let isPlain = bytes.count == text.length
        let count = text.length
        func bound(_ value: Value?, _ standard: Int) throws -> Int {
            guard let value, !value.isNone else { return standard }
            let bound = try int(value, "slice")
            return bound < 0 ? max(0, bound.addingReportingOverflow(count).partialValue) : bound
        }
        let first = try bound(start, 0), last = min(try bound(end, count), count)
        guard first <= last else { return nil }
        if isPlain { return first..<last }
        func offset(_ place: Int) -> Int {
            var seen = 0
            for (index, byte) in bytes.enumerated() where byte & 0xC0 != 0x80 {
                if seen == place { return index }
                seen += 1
            }
            return bytes.count
        }
        return offset(first)..<offset(last)
    }

    private func search(_ name: String, _ text: String, _ arguments: Arguments) throws -> Value {
        let values = try arguments.positional(name, 1...3)
        let needle = Array(try self.text(values[0], "\(name)() argument").utf8), bytes = Array(text.utf8)
        let window = try window(text, bytes, values.count > 1 ? values[1] : nil, values.count > 2 ? values[2] : nil)
        if name == "count" {
            guard let window else { return .int(0) }
            if needle.isEmpty { return .int(bytes[window].count { $0 & 0xC0 != 0x80 } + 1) }
            let search = ByteSearch(needle)
            var count = 0, place = window.lowerBound
            while let found = search.first(in: bytes, from: place, to: window.upperBound) {
                count += 1
                place = found + needle.count
            }
            return .int(count)
        }
        let search = ByteSearch(needle)
        let found = window.flatMap {
            name.hasPrefix("r")
                ? search.last(in: bytes, from: $0.lowerBound, to: $0.upperBound) : search.first(in: bytes, from: $0.lowerBound, to: $0.upperBound)
        }
        if let found { return .int(bytes[..<found].count { $0 & 0xC0 != 0x80 }) }
        if name.hasSuffix("index") { throw TemplateError.runtime("substring not found") }
        return .int(-1)
    }

    private func hasAffix(_ text: String, _ arguments: Arguments, isPrefix: Bool) throws -> Value {
        let name = isPrefix ? "startswith" : "endswith"
        let values = try arguments.positional(name, 1...3)
        let candidates: [Value] = if case .tuple(let box) = values[0] { box.items } else { [values[0]] }
        var affixes: [String] = []
        for candidate in candidates {
            guard let affix = candidate.text else {
                if case .undefined(let undefined) = candidate { throw undefined.error }
                throw TemplateError.runtime("\(name) first arg must be str or a tuple of str, not \(candidate.typeName)")
            }
            affixes.append(affix)
        }
        if values.count == 1 {
            return .bool(affixes.contains { isPrefix ? text.utf8.starts(with: $0.utf8) : text.utf8.reversed().starts(with: $0.utf8.reversed()) })
        }
        let bytes = Array(text.utf8)
        guard let window = try window(text, bytes, values[1], values.count > 2 ? values[2] : nil) else { return .bool(false) }
        let part = bytes[window]
        return .bool(affixes.contains { isPrefix ? part.starts(with: $0.utf8) : part.reversed().starts(with: $0.utf8.reversed()) })
    }

    // MARK: Taking apart and putting together

    private func partition(_ text: String, _ arguments: Arguments, fromRight: Bool) throws -> Value {
        let separator = try self.text(arguments.positional("partition", 1...1)[0], "partition() argument")
        guard !separator.isEmpty else { throw TemplateError.runtime("empty separator") }
        let bytes = Array(text.utf8), search = ByteSearch(Array(separator.utf8))
        let found = fromRight ? search.last(in: bytes, from: 0, to: bytes.count) : search.first(in: bytes, from: 0, to: bytes.count)
        guard let found else { return try tuple(fromRight ? [.string(""), .string(""), .string(text)] : [.string(text), .string(""), .string("")]) }
        return try tuple([string(String(bytes[..<found])), .string(separator), string(String(bytes[(found + separator.utf8.count)...]))])
    }

    func replace(_ text: String, _ old: String, _ new: String, _ limit: Int) throws -> String {
        if limit == 0 { return text }
        var result: [UInt8] = []
        var left = limit < 0 ? Int.max : limit
        let bytes = Array(text.utf8), needle = Array(old.utf8), replacement = Array(new.utf8)
        func check() throws {
            if result.count > limits.outputBytes { throw TemplateError.limit("a text is longer than \(limits.outputBytes) bytes") }
        }
        if needle.isEmpty {
            // Between all code points, and at both ends.
            for byte in bytes {
                if byte & 0xC0 != 0x80, left > 0 {
                    result += replacement
                    left -= 1
                    try check()
                }
                result.append(byte)
            }
            if left > 0 { result += replacement }
        } else {
            let search = ByteSearch(needle)
            var place = 0
            while left > 0, let found = search.first(in: bytes, from: place, to: bytes.count) {
                result += bytes[place..<found]
                result += replacement
                place = found + needle.count
                left -= 1
                try check()
            }
            result += bytes[place...]
        }
        try allocate(result.count)
        return String(decoding: result, as: UTF8.self)
    }

    private func join(_ separator: String, _ value: Value) throws -> Value {
        let iterator = try iterate(value)
        var result = "", index = 0
        while let item = try iterator.next() {
            try charge()
            guard let part = item.text else {
                throw TemplateError.runtime("sequence item \(index): expected str instance, \(item.typeName) found")
            }
            if index > 0 { result += separator }
            result += part
            index += 1
            if result.utf8.count > limits.outputBytes { break }
        }
        return try string(result)
    }

    private func split(_ text: String, by separator: Value, limit: Int, fromRight: Bool) throws -> Value {
        let bytes = Array(text.utf8)
        var parts: [Value] = []
        var left = limit < 0 ? Int.max : limit
        guard !separator.isNone else { return try splitWords(text, limit: left, fromRight: fromRight) }
        let needle = Array(try self.text(separator, "split() separator").utf8)
        guard !needle.isEmpty else { throw TemplateError.runtime("empty separator") }
        try allocate(bytes.count)
        let search = ByteSearch(needle)
        if fromRight {
            // Found from the left in the reversed text, so that overlapping separators match as Python's do.
            let reversed = Array(bytes.reversed()), backwards = ByteSearch(needle.reversed())
            var place = 0
            while left > 0, let found = backwards.first(in: reversed, from: place, to: reversed.count) {
                parts.append(.string(String(decoding: reversed[place..<found].reversed(), as: UTF8.self)))
                place = found + needle.count
                left -= 1
            }
            parts.append(.string(String(decoding: reversed[place...].reversed(), as: UTF8.self)))
            return try list(parts.reversed())
        }
        var place = 0
        while left > 0, let found = search.first(in: bytes, from: place, to: bytes.count) {
            parts.append(.string(String(bytes[place..<found])))
            place = found + needle.count
            left -= 1
        }
        parts.append(.string(String(bytes[place...])))
        return try list(parts)
    }

    /// At runs of white space, without empty parts.
    private func splitWords(_ text: String, limit: Int, fromRight: Bool) throws -> Value {
        try allocate(text.utf8.count)
        var scalars = Array(text.unicodeScalars)
        if fromRight { scalars.reverse() }
        var parts: [Value] = [], index = 0, left = limit
        func word(_ range: Range<Int>) -> Value { .string(String(scalars: fromRight ? Array(scalars[range].reversed()) : Array(scalars[range]))) }
        while true {
            while index < scalars.count, scalars[index].isPythonSpace { index += 1 }
            guard index < scalars.count else { break }
            if left == 0 {
                // The rest keeps its far end as it is.
                parts.append(word(index..<scalars.count))
                break
            }
            let start = index
            while index < scalars.count, !scalars[index].isPythonSpace { index += 1 }
            parts.append(word(start..<index))
            left -= 1
        }
        return try list(fromRight ? parts.reversed() : parts)
    }

    func lines(of text: String, keepingEnds: Bool) -> [String] {
        var lines: [String] = [], line = String.UnicodeScalarView()
        var iterator = text.unicodeScalars.makeIterator()
        var pending = iterator.next()
        while let scalar = pending {
            pending = iterator.next()
            switch scalar.value {
            case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029:
                if keepingEnds { line.append(scalar) }
                if scalar == "\r", pending == "\n" {
                    if keepingEnds { line.append("\n") }
                    pending = iterator.next()
                }
                lines.append(String(line))
                line = String.UnicodeScalarView()
            default: line.append(scalar)
            }
        }
        if !line.isEmpty { lines.append(String(line)) }
        return lines
    }

    private func expandTabs(_ text: String, _ size: Int) throws -> Value {
        var result = "", column = 0
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\t":
                guard size > 0 else { continue }
                let width = size - column % size
                try allocate(result.utf8.count > limits.outputBytes ? Int.max : width)
                result += String(repeating: " ", count: width)
                column += width
            case "\n", "\r":
                result.unicodeScalars.append(scalar)
                column = 0
            default:
                result.unicodeScalars.append(scalar)
                column += 1
            }
        }
        return try string(result)
    }
}
