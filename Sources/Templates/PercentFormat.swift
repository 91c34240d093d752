extension Interpreter {
    /// `format % values`, as C's printf with Python's types.
    func percentFormat(_ format: String, _ values: Value, markup: Bool) throws -> Value {
        let source = Array(format.unicodeScalars)
        var result = ""
        var index = 0, used = 0, usedMapping = false
        let tuple: [Value]? = if case .tuple(let box) = values { box.items } else { nil }

        func nextArgument() throws -> Value {
            if let tuple {
                guard used < tuple.count else { throw TemplateError.runtime("not enough arguments for format string") }
                used += 1
                return tuple[used - 1]
            }
            guard used == 0 else { throw TemplateError.runtime("not enough arguments for format string") }
            used = 1
            return values
        }
        func number() throws -> Int? {
            if index < source.count, source[index] == "*" {
                index += 1
                return try int(nextArgument(), "* wants int")
            }
            var value: Int?
            while index < source.count, source[index].value >= 48, source[index].value <= 57 {
                value = (value ?? 0) * 10 + Int(source[index].value - 48)
                guard value ?? 0 < 1 << 32 else { throw TemplateError.limit("a width in a format is too large") }
                index += 1
            }
            return value
        }

        while index < source.count {
            guard source[index] == "%" else {
                result.unicodeScalars.append(source[index])
                index += 1
                continue
            }
            try charge(4)
            index += 1
            var key: String?
            if index < source.count, source[index] == "(" {
                var depth = 1, end = index + 1
                while end < source.count {
                    if source[end] == "(" { depth += 1 }
                    if source[end] == ")" { depth -= 1 }
                    if depth == 0 { break }
                    end += 1
                }
                guard end < source.count else { throw TemplateError.runtime("incomplete format key") }
                key = String(scalars: source[index + 1..<end])
                index = end + 1
            }
            var flags = Set<Unicode.Scalar>()
            while index < source.count, "-+ #0".unicodeScalars.contains(source[index]) {
                flags.insert(source[index])
                index += 1
            }
            var width = try number() ?? 0
            if width < 0 {
                flags.insert("-")
                width = width.magnitude > UInt(Int32.max) ? Int(Int32.max) : -width
            }
            var precision: Int?
            if index < source.count, source[index] == "." {
                index += 1
                precision = max(0, try number() ?? 0)
            }
            while index < source.count, "hlL".unicodeScalars.contains(source[index]) { index += 1 }
            guard index < source.count else { throw TemplateError.runtime("incomplete format") }
            let type = source[index]
            index += 1
            if type == "%" {
                result += "%"
                continue
            }
            let argument: Value
            if let key {
                guard case .dict(let box) = values else { throw TemplateError.runtime("format requires a mapping") }
                guard let found = box[key] else { throw TemplateError.runtime("'\(key)'") }
                argument = found
                usedMapping = true
            } else {
                argument = try nextArgument()
            }
            result += try percentItem(argument, type, flags, width, precision, markup: markup)
            if result.utf8.count > limits.outputBytes { throw TemplateError.limit("a text is longer than \(limits.outputBytes) bytes") }
        }
        let isLeftOver: Bool
        if let tuple {
            isLeftOver = used < tuple.count
        } else if case .dict = values {
            isLeftOver = false
        } else if case .list = values {
            isLeftOver = false
        } else {
            isLeftOver = used == 0 && !usedMapping
        }
        if isLeftOver {
            if case .undefined = values { return .string(result) }
            throw TemplateError.runtime("not all arguments converted during string formatting")
        }
        try allocate(result.utf8.count)
        return markup ? .markup(result) : .string(result)
    }

    private func percentItem(
        _ value: Value, _ type: Unicode.Scalar, _ flags: Set<Unicode.Scalar>, _ width: Int, _ precision: Int?, markup: Bool
    ) throws -> String {
        let alignment: Alignment = flags.contains("-") ? .left : .right
        switch type {
        case "s", "r", "a":
            var text = type == "s" ? try self.text(of: value) : try representation(of: value)
            if markup, !isMarkup(value) { text = escapeHTML(text) }
            if type == "a" { text = asciiOnly(text) }
            if let precision { text = try slice(.string(text), start: nil, stop: precision, step: nil).text ?? "" }
            return try pad(text, to: width, alignment)
        case "c":
            if let text = value.text {
                guard text.length == 1 else { throw TemplateError.runtime("%c requires int or char") }
                return try pad(text, to: width, alignment)
            }
            guard let code = UInt32(exactly: try int(value, "%c")), let scalar = Unicode.Scalar(code) else {
                throw TemplateError.runtime("%c arg not in range(0x110000)")
            }
            return try pad(String(Character(scalar)), to: width, alignment)
        default: break
        }
        guard let number = Number(value) else {
            if case .undefined(let undefined) = value { throw undefined.error }
            throw TemplateError.runtime("%\(Character(type)) format: a real number is required, not \(value.typeName)")
        }
        var body: String, isNegative: Bool, prefix = ""
        switch type {
        case "d", "i", "u", "x", "X", "o":
            let whole: BigInt
            if case .float(let double) = number {
                guard type == "d" || type == "i" || type == "u" else {
                    throw TemplateError.runtime("%\(Character(type)) format: an integer is required, not float")
                }
                guard double.isFinite else { throw TemplateError.runtime("cannot convert float \(double.isNaN ? "NaN" : "infinity") to integer") }
                whole = BigInt(truncating: double)
            } else {
                whole = number.whole ?? BigInt(0)
            }
            isNegative = whole.negative
            let magnitude = BigInt(negative: false, limbs: whole.limbs)
            switch type {
            case "x", "X":
                body = magnitude.text(radix: 16)
                if type == "X" { body = LetterCase.upper(body) }
                if flags.contains("#") { prefix = type == "x" ? "0x" : "0X" }
            case "o":
                body = magnitude.text(radix: 8)
                if flags.contains("#") { prefix = "0o" }
            default: body = try decimal(magnitude)
            }
            if let precision, body.utf8.count < precision {
                guard precision <= 100_000 else { throw TemplateError.limit("a number is to have more than 100000 digits") }
                body = String(repeating: "0", count: precision - body.utf8.count) + body
            }
        case "f", "F", "e", "E", "g", "G":
            let double = try number.double()
            let places = precision ?? 6
            guard places <= 100_000 else { throw TemplateError.limit("a number is to have more than 100000 digits") }
            isNegative = double.sign == .minus && !double.isNaN
            let magnitude = double.magnitude
            if !magnitude.isFinite {
                body = magnitude.isNaN ? "nan" : "inf"
            } else {
                switch type {
                case "f", "F": body = fixed(magnitude, places)
                case "e", "E": body = scientific(magnitude, places)
                default: body = general(magnitude, max(places, 1), keepsZeros: flags.contains("#"), asFloat: false)
                }
                if flags.contains("#"), places == 0, !body.contains(".") { body += "." }
            }
            if type == "F" || type == "E" || type == "G" { body = LetterCase.upper(body) }
        default:
            throw TemplateError.runtime("unsupported format character '\(Character(type))'")
        }
        let sign = isNegative ? "-" : flags.contains("+") ? "+" : flags.contains(" ") ? " " : ""
        let head = sign + prefix
        if flags.contains("0"), alignment != .left {
            return head + (try pad(body, to: width - head.utf8.count, .right, "0"))
        }
        return try pad(head + body, to: width, alignment)
    }

    /// Python's `ascii`: everything beyond ASCII escaped.
    private func asciiOnly(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar.isASCII {
                result.unicodeScalars.append(scalar)
            } else {
                let digits = String(scalar.value, radix: 16)
                let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
                result += "\\\(letter)\(String(repeating: "0", count: width - digits.count))\(digits)"
            }
        }
        return result
    }
}
