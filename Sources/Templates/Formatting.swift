enum Alignment {
    case left, right, center
    /// `str.center`, which puts the odd blank elsewhere than a format does.
    case methodCenter
    /// Between sign and digits.
    case afterSign
}

/// `[[fill]align][sign][z][#][0][width][grouping][.precision][type]`
struct FormatSpec {
    var fill = " "
    var alignment: Alignment?
    var sign: Unicode.Scalar = "-"
    var isAlternate = false
    var clearsNegativeZero = false
    var width = 0
    var grouping: Unicode.Scalar?
    var precision: Int?
    var type: Unicode.Scalar?

    init(_ text: String) throws {
        let scalars = Array(text.unicodeScalars)
        var index = 0
        func alignment(_ scalar: Unicode.Scalar) -> Alignment? {
            switch scalar {
            case "<": .left
            case ">": .right
            case "^": .center
            case "=": .afterSign
            default: nil
            }
        }
        if scalars.count > 1, let found = alignment(scalars[1]) {
            fill = String(Character(scalars[0]))
            self.alignment = found
            index = 2
        } else if let first = scalars.first, let found = alignment(first) {
            self.alignment = found
            index = 1
        }
        func take(_ wanted: Unicode.Scalar) -> Bool {
            guard index < scalars.count, scalars[index] == wanted else { return false }
            index += 1
            return true
        }
        func number() throws -> Int? {
            var value: Int?
            while index < scalars.count, let digit = scalars[index].decimalValue {
                let next = (value ?? 0) * 10 + digit
                guard next < 1 << 40 else { throw TemplateError.runtime("Too many decimal digits in format string") }
                value = next
                index += 1
            }
            return value
        }
        for mark: Unicode.Scalar in ["+", "-", " "] where take(mark) {
            sign = mark
            break
        }
        clearsNegativeZero = take("z")
        isAlternate = take("#")
        if take("0") {
            if self.alignment == nil { self.alignment = .afterSign }
            if index < 2 || fill == " " { fill = "0" }
        }
        width = try number() ?? 0
        for mark: Unicode.Scalar in [",", "_"] where take(mark) { grouping = mark }
        if take(".") {
            precision = try number()
            guard precision != nil else { throw TemplateError.runtime("Format specifier missing precision") }
        }
        if index < scalars.count {
            type = scalars[index]
            index += 1
        }
        guard index == scalars.count else { throw TemplateError.runtime("Invalid format specifier '\(text)'") }
    }
}

extension Interpreter {
    func pad(_ text: String, to width: Int, _ alignment: Alignment, _ fill: String = " ") throws -> String {
        let length = text.length
        guard width > length else { return text }
        let missing = width - length
        let (bytes, overflow) = missing.multipliedReportingOverflow(by: fill.utf8.count)
        try allocate(overflow || bytes > Int.max / 2 ? Int.max : bytes + text.utf8.count)
        let before: Int
        switch alignment {
        case .left: before = 0
        case .right: before = missing
        case .center: before = missing / 2
        case .methodCenter: before = missing / 2 + (missing & width & 1)
        case .afterSign:
            let hasSign = text.hasPrefix("-") || text.hasPrefix("+") || text.hasPrefix(" ")
            let sign = hasSign ? text.bytes(0..<1) : "", digits = hasSign ? text.bytes(1..<text.utf8.count) : text
            return sign + String(repeating: fill, count: missing) + digits
        }
        return String(repeating: fill, count: before) + text + String(repeating: fill, count: missing - before)
    }

    /// Python's `format(value, spec)`.
    func format(_ value: Value, _ text: String) throws -> String {
        if text.isEmpty { return try self.text(of: value) }
        let spec = try FormatSpec(text)
        if let string = value.text {
            guard spec.type == nil || spec.type == "s" else { throw unknownCode(spec, value) }
            guard spec.sign == "-", spec.alignment != .afterSign || spec.fill == "0", !spec.isAlternate, spec.grouping == nil else {
                throw TemplateError.runtime("format specifier not allowed for strings")
            }
            let cut = try spec.precision.map { try slice(.string(string), start: nil, stop: $0, step: nil).text ?? "" } ?? string
            return try pad(cut, to: spec.width, spec.alignment == .afterSign ? .left : spec.alignment ?? .left, spec.fill)
        }
        guard let number = Number(value), !(isBool(value) && spec.type == "s") else {
            if case .undefined(let undefined) = value { throw undefined.error }
            throw TemplateError.runtime("unsupported format string passed to \(value.typeName).__format__")
        }
        let body: String
        let isNegative: Bool
        switch (spec.type, number) {
        case (nil, .int), (nil, .big), ("d", .int), ("d", .big), ("n", .int), ("n", .big), ("b", .int), ("b", .big), ("o", .int), ("o", .big),
            ("x", .int), ("x", .big), ("X", .int), ("X", .big), ("c", .int), ("c", .big):
            guard spec.precision == nil else { throw TemplateError.runtime("Precision not allowed in integer format specifier") }
            let whole = number.whole ?? BigInt(0)
            if spec.type == "c" {
                guard let code = whole.small, let scalar = UInt32(exactly: code).flatMap(Unicode.Scalar.init) else {
                    throw TemplateError.runtime("%c arg not in range(0x110000)")
                }
                return try pad(String(Character(scalar)), to: spec.width, spec.alignment ?? .left, spec.fill)
            }
            isNegative = whole.negative
            body = try integerBody(BigInt(negative: false, limbs: whole.limbs), spec)
        default:
            let double = try number.double()
            let rounded = try floatBody(double.magnitude, spec, value)
            let isZero = rounded.utf8.allSatisfy { $0 == 48 || $0 == 46 }
            isNegative = double.sign == .minus && !double.isNaN && !(spec.clearsNegativeZero && isZero)
            body = rounded
        }
        let sign = isNegative ? "-" : spec.sign == "-" ? "" : String(Character(spec.sign))
        return try padNumber(sign, body, spec)
    }

    private func isBool(_ value: Value) -> Bool { if case .bool = value { true } else { false } }

    private func unknownCode(_ spec: FormatSpec, _ value: Value) -> TemplateError {
        .runtime("Unknown format code '\(spec.type.map { String(Character($0)) } ?? "")' for object of type '\(value.typeName)'")
    }

    private func integerBody(_ number: BigInt, _ spec: FormatSpec) throws -> String {
        let (radix, prefix): (UInt32, String) =
            switch spec.type {
            case "b": (2, "0b")
            case "o": (8, "0o")
            case "x": (16, "0x")
            case "X": (16, "0X")
            default: (10, "")
            }
        let digits = radix == 10 ? try decimal(number) : number.text(radix: radix)
        let cased = spec.type == "X" ? LetterCase.upper(digits) : digits
        return (spec.isAlternate ? prefix : "") + group(cased, spec, every: radix == 10 ? 3 : 4)
    }

    private func floatBody(_ value: Double, _ spec: FormatSpec, _ original: Value) throws -> String {
        let precision = spec.precision ?? 6
        guard precision <= 100_000 else { throw TemplateError.limit("a number is to have more than 100000 digits") }
        try allocate(precision)
        let type = spec.type
        let isUpper = type == "E" || type == "F" || type == "G"
        if !value.isFinite { return isUpper ? (value.isNaN ? "NAN" : "INF") : value.isNaN ? "nan" : "inf" }
        var text: String
        switch type {
        case nil where spec.precision == nil: text = FloatText.shortest(value)
        case nil: text = general(value, max(precision, 1), keepsZeros: spec.isAlternate, asFloat: true)
        case "f", "F": text = fixed(value, precision)
        case "e", "E": text = scientific(value, precision)
        case "g", "G", "n": text = general(value, max(precision, 1), keepsZeros: spec.isAlternate, asFloat: false)
        case "%": text = fixed(value * 100, precision) + "%"
        default: throw unknownCode(spec, original)
        }
        if spec.isAlternate, precision == 0, !text.contains(".") { text += "." }
        if isUpper { text = LetterCase.upper(text) }
        guard spec.grouping != nil else { return text }
        let end = text.utf8.firstIndex { !$0.isDigit } ?? text.utf8.endIndex
        return group(String(text[..<end]), spec, every: 3) + text[end...]
    }

    func fixed(_ value: Double, _ places: Int) -> String {
        var digits = FloatText.Digits(exactly: value)
        digits.round(toPlaces: places)
        return digits.fixed(places: places)
    }

    func scientific(_ value: Double, _ places: Int) -> String {
        var digits = FloatText.Digits(exactly: value)
        digits.round(toCount: places + 1)
        return digits.scientific(places: places, letter: "e")
    }

    /// `%g`: `precision` significant digits, an exponent where that is shorter. `asFloat` is the form without a type, which shows that it
    /// is a float.
    func general(_ value: Double, _ precision: Int, keepsZeros: Bool, asFloat: Bool) -> String {
        var digits = FloatText.Digits(exactly: value)
        digits.round(toCount: precision)
        let exponent = digits.digits.isEmpty ? 0 : digits.point - 1
        if !keepsZeros { while digits.digits.last == 0 { digits.digits.removeLast() } }
        let count = keepsZeros ? precision : max(digits.digits.count, 1)
        if exponent < -4 || exponent >= (asFloat ? precision - 1 : precision) {
            return digits.scientific(places: count - 1, letter: "e")
        }
        if digits.digits.isEmpty { digits.point = 1 }
        let places = max(0, count - digits.point)
        let text = digits.fixed(places: places)
        return asFloat && places == 0 ? text + ".0" : text
    }

    private func group(_ digits: String, _ spec: FormatSpec, every size: Int) -> String {
        guard let mark = spec.grouping else { return digits }
        var result = ""
        let count = digits.utf8.count
        for (index, scalar) in digits.unicodeScalars.enumerated() {
            if index > 0, (count - index) % size == 0 { result.unicodeScalars.append(mark) }
            result.unicodeScalars.append(scalar)
        }
        return result
    }

    private func padNumber(_ sign: String, _ body: String, _ spec: FormatSpec) throws -> String {
        let alignment = spec.alignment ?? .right
        guard alignment == .afterSign else { return try pad(sign + body, to: spec.width, alignment, spec.fill) }
        if spec.fill == "0", let mark = spec.grouping {
            // Zeros are grouped as well.
            var padded = body
            guard spec.width <= 10_000 else { throw TemplateError.limit("a number is to have more than 10000 digits") }
            let size = spec.type == "x" || spec.type == "X" || spec.type == "b" || spec.type == "o" ? 4 : 3
            var run = body.unicodeScalars.prefix { $0 != mark && $0.decimalValue != nil }.count
            while sign.length + padded.length < spec.width {
                if run == size {
                    padded = String(Character(mark)) + padded
                    run = 0
                }
                padded = "0" + padded
                run += 1
            }
            return sign + padded
        }
        // A radix prefix stays in front of the zeros.
        let prefix = spec.isAlternate && body.utf8.count > 2 && !(body.utf8.dropFirst().first?.isDigit ?? true) ? body.bytes(0..<2) : ""
        let digits = body.bytes(prefix.utf8.count..<body.utf8.count)
        return sign + prefix + (try pad(digits, to: spec.width - sign.length - prefix.utf8.count, .right, spec.fill))
    }
}
