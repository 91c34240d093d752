extension Interpreter {
    /// `"{} {name:>5}".format(…)`, with the sandbox's rules for what a field may reach.
    func braceFormat(_ format: String, _ arguments: Arguments) throws -> String {
        var automatic: Int? = 0
        return try braceFormat(Array(format.unicodeScalars), arguments, &automatic, depth: 2)
    }

    /// - Parameter automatic: the number of the next `{}`; nil once a field was numbered by hand.
    private func braceFormat(_ source: [Unicode.Scalar], _ arguments: Arguments, _ automatic: inout Int?, depth: Int) throws -> String {
        guard depth >= 0 else { throw TemplateError.runtime("Max string recursion exceeded") }
        var result = "", index = 0
        while index < source.count {
            let scalar = source[index]
            index += 1
            guard scalar == "{" || scalar == "}" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            if index < source.count, source[index] == scalar {
                result.unicodeScalars.append(scalar)
                index += 1
                continue
            }
            guard scalar == "{" else { throw TemplateError.runtime("Single '}' encountered in format string") }
            guard index < source.count else { throw TemplateError.runtime("Single '{' encountered in format string") }
            try charge(8)
            // The field ends at its own brace; inner ones belong to the specification.
            var open = 1, end = index, brackets = false
            while end < source.count {
                switch source[end] {
                case "[": brackets = true
                case "]": brackets = false
                case "{" where !brackets: open += 1
                case "}" where !brackets: open -= 1
                default: break
                }
                if open == 0 { break }
                end += 1
            }
            guard open == 0 else { throw TemplateError.runtime("expected '}' before end of string") }
            let field = Array(source[index..<end])
            index = end + 1
            result += try braceField(field, arguments, &automatic, depth: depth)
            if result.utf8.count > limits.outputBytes { throw TemplateError.limit("a text is longer than \(limits.outputBytes) bytes") }
        }
        return result
    }

    private func braceField(_ field: [Unicode.Scalar], _ arguments: Arguments, _ automatic: inout Int?, depth: Int) throws -> String {
        var nameEnd = 0, brackets = false
        while nameEnd < field.count {
            if field[nameEnd] == "[" { brackets = true }
            if field[nameEnd] == "]" { brackets = false }
            if !brackets, field[nameEnd] == "!" || field[nameEnd] == ":" { break }
            nameEnd += 1
        }
        var conversion: Unicode.Scalar?, spec: [Unicode.Scalar] = []
        if nameEnd < field.count {
            var rest = field[nameEnd...]
            if rest.first == "!" {
                rest = rest.dropFirst()
                guard let mark = rest.first, rest.count == 1 || rest.dropFirst().first == ":" else {
                    throw TemplateError.runtime("expected ':' after conversion specifier")
                }
                conversion = mark
                rest = rest.dropFirst()
            }
            spec = Array(rest.dropFirst())
        }
        var value = try fieldValue(Array(field[..<nameEnd]), arguments, &automatic)
        switch conversion {
        case nil: break
        case "s"?: value = .string(try text(of: value))
        case "r"?, "a"?: value = .string(try representation(of: value))
        default: throw TemplateError.runtime("Unknown conversion specifier")
        }
        return try format(value, braceFormat(spec, arguments, &automatic, depth: depth - 1))
    }

    /// `name.attribute[key]…`
    private func fieldValue(_ path: [Unicode.Scalar], _ arguments: Arguments, _ automatic: inout Int?) throws -> Value {
        var index = path.firstIndex { $0 == "." || $0 == "[" } ?? path.count
        let first = String(scalars: path[..<index])
        var value: Value
        if first.isEmpty || first.utf8.allSatisfy(\.isDigit) {
            let number: Int
            if first.isEmpty {
                guard let next = automatic else {
                    throw TemplateError.runtime("cannot switch from manual field specification to automatic field numbering")
                }
                number = next
                automatic = next + 1
            } else {
                guard automatic == nil || automatic == 0 else {
                    throw TemplateError.runtime("cannot switch from automatic field numbering to manual field specification")
                }
                automatic = nil
                number = Int(first) ?? Int.max
            }
            guard number < arguments.positional.count else {
                throw TemplateError.runtime("Replacement index \(number) out of range for positional args tuple")
            }
            value = arguments.positional[number]
        } else {
            guard let found = arguments.keywords.first(where: { $0.name.isSame(as: first) }) else { throw TemplateError.runtime("'\(first)'") }
            value = found.value
        }
        while index < path.count {
            if path[index] == "." {
                let end = path[(index + 1)...].firstIndex { $0 == "." || $0 == "[" } ?? path.count
                guard end > index + 1 else { throw TemplateError.runtime("Empty attribute in format string") }
                value = try attribute(String(scalars: path[index + 1..<end]), of: value)
                index = end
            } else if path[index] == "[" {
                guard let end = path[index...].firstIndex(of: "]") else { throw TemplateError.runtime("Missing ']' in format string") }
                let key = String(scalars: path[index + 1..<end])
                guard !key.isEmpty else { throw TemplateError.runtime("Empty attribute in format string") }
                let isNumber = key.utf8.allSatisfy(\.isDigit)
                value = try item(isNumber ? .int(Int(key) ?? Int.max) : .string(key), of: value)
                index = end + 1
            } else {
                throw TemplateError.runtime("Only '.' or '[' may follow ']' in format field specifier")
            }
        }
        return value
    }
}
