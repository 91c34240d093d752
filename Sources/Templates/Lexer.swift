/// Source text to tokens, with `trim_blocks` and `lstrip_blocks` on, as transformers sets them.
struct Lexer {
    let source: [UInt8]
    var position = 0
    var line = 1
    var tokens: [Token] = []
    /// Closing brackets that are owed; an end tag inside brackets is not one.
    private var brackets: [UInt8] = []
    private var atLineStart = true

    static func tokenize(_ text: String) throws -> [Token] {
        guard text.utf8.count <= TemplateLimits.sourceBytes else {
            throw TemplateError.limit("the template is longer than \(TemplateLimits.sourceBytes) bytes")
        }
        var lexer = Lexer(text)
        try lexer.run()
        return lexer.tokens
    }

    /// Line ends become `\n`, and one at the very end is dropped.
    private init(_ text: String) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var afterReturn = false
        for byte in text.utf8 {
            if byte == 0x0D {
                bytes.append(0x0A)
            } else if !(byte == 0x0A && afterReturn) {
                bytes.append(byte)
            }
            afterReturn = byte == 0x0D
        }
        if bytes.last == 0x0A { bytes.removeLast() }
        source = bytes
    }

    private mutating func run() throws {
        while position < source.count {
            guard let tag = nextTag(from: position) else {
                append(.data(String(source[position...])))
                advance(to: source.count)
                break
            }
            try lexTag(at: tag)
        }
        tokens.append(Token(kind: .end, line: line))
    }

    /// Offset of the next `{{`, `{%` or `{#`.
    private func nextTag(from start: Int) -> Int? {
        var index = start
        while index + 1 < source.count {
            if source[index] == UInt8(ascii: "{") {
                switch source[index + 1] {
                case UInt8(ascii: "{"), UInt8(ascii: "%"), UInt8(ascii: "#"): return index
                default: break
                }
            }
            index += 1
        }
        return nil
    }

    private mutating func lexTag(at tag: Int) throws {
        let kind = source[tag + 1]
        let sign = byte(tag + 2)
        let signed = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
        data(upTo: tag, sign: sign, isVariable: kind == UInt8(ascii: "{"))
        if kind == UInt8(ascii: "%"), let body = rawBegin(at: tag) {
            advance(to: body)
            try lexRaw()
            return
        }
        if kind == UInt8(ascii: "{") { append(.variableBegin) } else if kind == UInt8(ascii: "%") { append(.blockBegin) }
        advance(to: tag + (signed ? 3 : 2))
        switch kind {
        case UInt8(ascii: "#"): try lexComment()
        default: try lexExpression(closing: kind == UInt8(ascii: "{") ? UInt8(ascii: "}") : UInt8(ascii: "%"))
        }
    }

    /// Template text before a tag, stripped as the tag's sign says.
    private mutating func data(upTo tag: Int, sign: UInt8?, isVariable: Bool) {
        var end = tag
        if sign == UInt8(ascii: "-") {
            end = trimmedEnd(from: position, to: tag)
        } else if sign != UInt8(ascii: "+"), !isVariable {
            let lineStart = (source[position..<tag].lastIndex(of: 0x0A)).map { $0 + 1 } ?? position
            if lineStart > position || atLineStart, trimmedEnd(from: lineStart, to: tag) == lineStart { end = lineStart }
        }
        if end > position { append(.data(String(source[position..<end]))) }
        line += source[position..<tag].count { $0 == 0x0A }
        position = tag
    }

    /// Where the text after `{% raw %}` begins, if a raw tag stands here.
    private func rawBegin(at tag: Int) -> Int? {
        var index = tag + 2
        if byte(index) == UInt8(ascii: "-") || byte(index) == UInt8(ascii: "+") { index += 1 }
        index = afterSpace(index)
        guard matches("raw", at: index) else { return nil }
        index = afterSpace(index + 3)
        if matches("-%}", at: index) { return afterSpace(index + 3) }
        return matches("%}", at: index) ? index + 2 : nil
    }

    private mutating func lexRaw() throws {
        guard position < source.count else { return }
        var index = position
        while index < source.count {
            if matches("{%", at: index) {
                let sign = byte(index + 2)
                var next = index + 2
                if sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { next += 1 }
                next = afterSpace(next)
                if matches("endraw", at: next), let end = blockEnd(at: afterSpace(next + 6)) {
                    atLineStart = source[position - 1] == 0x0A
                    data(upTo: index, sign: sign, isVariable: false)
                    advance(to: end)
                    return
                }
            }
            index += 1
        }
        throw TemplateError.syntax("Missing end of raw directive", line: line)
    }

    private mutating func lexComment() throws {
        // As in Jinja, one that opens at the very end is nothing.
        guard position < source.count else { return }
        var index = position
        while index < source.count {
            if matches("+#}", at: index) { return advance(to: index + 3) }
            if matches("-#}", at: index) { return advance(to: afterSpace(index + 3)) }
            if matches("#}", at: index) { return advance(to: index + (byte(index + 2) == 0x0A ? 3 : 2)) }
            index += 1
        }
        throw TemplateError.syntax("Missing end of comment tag", line: line)
    }

    /// Where the template goes on after `%}` with its signs and trimmed newline; nil where no tag ends here.
    private func blockEnd(at index: Int) -> Int? {
        if matches("+%}", at: index) { return index + 3 }
        if matches("-%}", at: index) { return afterSpace(index + 3) }
        if matches("%}", at: index) { return index + (byte(index + 2) == 0x0A ? 3 : 2) }
        return nil
    }

    private mutating func lexExpression(closing: UInt8) throws {
        brackets = []
        while position < source.count {
            if brackets.isEmpty {
                if closing == UInt8(ascii: "%") {
                    if let end = blockEnd(at: position) {
                        append(.blockEnd)
                        return advance(to: end)
                    }
                } else if matches("-}}", at: position) {
                    append(.variableEnd)
                    return advance(to: afterSpace(position + 3))
                } else if matches("}}", at: position) {
                    append(.variableEnd)
                    return advance(to: position + 2)
                }
            }
            let next = afterSpace(position)
            if next > position {
                advance(to: next)
            } else {
                try lexItem()
            }
        }
    }

    private mutating func lexItem() throws {
        let first = source[position]
        switch first {
        case 48...57: try lexNumber()
        case UInt8(ascii: "\""), UInt8(ascii: "'"): try lexString(quote: first)
        case UInt8(ascii: "_"), 65...90, 97...122, 0x80...0xFF: try lexName()
        default: try lexOperator()
        }
    }

    private mutating func lexOperator() throws {
        for width in [2, 1] where position + width <= source.count {
            guard let op = Operator(rawValue: String(source[position..<position + width])) else { continue }
            switch op {
            case .leftBrace: brackets.append(UInt8(ascii: "}"))
            case .leftParenthesis: brackets.append(UInt8(ascii: ")"))
            case .leftBracket: brackets.append(UInt8(ascii: "]"))
            case .rightBrace, .rightParenthesis, .rightBracket:
                guard let expected = brackets.popLast() else { throw TemplateError.syntax("unexpected '\(op.rawValue)'", line: line) }
                guard expected == source[position] else {
                    throw TemplateError.syntax(
                        "unexpected '\(op.rawValue)', expected '\(Character(Unicode.Scalar(expected)))'", line: line)
                }
            default: break
            }
            append(.op(op))
            return advance(to: position + width)
        }
        throw TemplateError.syntax("unexpected char '\(Character(Unicode.Scalar(source[position])))' at \(position)", line: line)
    }

    private mutating func lexName() throws {
        var end = position
        while end < source.count, source[end] == UInt8(ascii: "_") || source[end] >= 0x80 || source[end].isLetterOrDigit {
            // White space beyond ASCII ends a name.
            if source[end] >= 0x80, afterSpace(end) > end { break }
            end += 1
        }
        let name = String(source[position..<end])
        var isFirst = true
        for scalar in name.unicodeScalars {
            guard scalar == "_" || (isFirst ? scalar.properties.isXIDStart : scalar.properties.isXIDContinue) else {
                throw TemplateError.syntax("Invalid character in identifier", line: line)
            }
            isFirst = false
        }
        append(.name(name))
        advance(to: end)
    }

    // MARK: Reading bytes

    mutating func append(_ kind: Token.Kind) { tokens.append(Token(kind: kind, line: line)) }

    mutating func advance(to end: Int) {
        line += source[position..<end].count { $0 == 0x0A }
        if end > position { atLineStart = source[end - 1] == 0x0A }
        position = end
    }

    func byte(_ index: Int) -> UInt8? { index < source.count ? source[index] : nil }

    func matches(_ text: StaticString, at index: Int) -> Bool {
        guard index + text.utf8CodeUnitCount <= source.count else { return false }
        for offset in 0..<text.utf8CodeUnitCount where source[index + offset] != text.utf8Start[offset] { return false }
        return true
    }

    /// The first offset at or after `index` that is no white space (Unicode's, as Python's `\s`).
    func afterSpace(_ index: Int) -> Int {
        var index = index
        while index < source.count {
            guard let width = spaceWidth(at: index) else { return index }
            index += width
        }
        return index
    }

    private func trimmedEnd(from start: Int, to end: Int) -> Int {
        var end = end
        while end > start {
            var first = end - 1
            while first > start, source[first] & 0xC0 == 0x80 { first -= 1 }
            guard spaceWidth(at: first) == end - first else { break }
            end = first
        }
        return end
    }

    private func spaceWidth(at index: Int) -> Int? {
        let first = source[index]
        if first < 0x80 { return Unicode.Scalar(first).isPythonSpace ? 1 : nil }
        let width = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        guard index + width <= source.count, let scalar = String(source[index..<index + width]).unicodeScalars.first else { return nil }
        return scalar.isPythonSpace ? width : nil
    }
}

extension UInt8 {
    var isDigit: Bool { self >= 48 && self <= 57 }
    var isLetterOrDigit: Bool { isDigit || (self >= 65 && self <= 90) || (self >= 97 && self <= 122) }
    var hexValue: UInt32? {
        switch self {
        case 48...57: UInt32(self - 48)
        case 65...70: UInt32(self - 55)
        case 97...102: UInt32(self - 87)
        default: nil
        }
    }
}
