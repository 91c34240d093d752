#if canImport(Glibc)
import Glibc
#endif

extension Filters {
    static let numbers: [String: FilterFunction] = [
        "abs": { interpreter, value, _ in
            switch Number(value) {
            case .int(let number): return number < 0 ? try interpreter.negative(value) : .int(number)
            case .big(let number): return .big(BigInt(negative: false, limbs: number.limbs))
            case .float(let number): return .float(number.magnitude)
            case nil:
                if case .undefined(let undefined) = value { throw undefined.error }
                throw TemplateError.runtime("bad operand type for abs(): '\(value.typeName)'")
            }
        },
        "int": { interpreter, value, arguments in
            let bound = try arguments.bind("int", "default", "base")
            let base = try interpreter.int(bound[1], "int", or: 10)
            if case .undefined(let undefined) = value { throw undefined.error }
            if let text = value.text, let number = try interpreter.parseInt(text, base: base) { return number }
            if let number = Number(value), let whole = number.whole { return try interpreter.integer(whole) }
            let double: Double?
            if case .float(let number) = value {
                if number.isInfinite { throw TemplateError.runtime("cannot convert float infinity to integer") }
                double = number
            } else {
                double = value.text.flatMap(parseFloat)
            }
            if let double, double.isFinite { return try interpreter.integer(BigInt(truncating: double)) }
            return bound[0] ?? .int(0)
        },
        "float": { interpreter, value, arguments in
            let standard = try arguments.bind("float", "default")[0] ?? .float(0)
            if case .undefined(let undefined) = value { throw undefined.error }
            if let number = Number(value) { return .float(try number.double()) }
            return value.text.flatMap(parseFloat).map { .float($0) } ?? standard
        },
        "round": { interpreter, value, arguments in
            let bound = try arguments.bind("round", "precision", "method")
            let method = try bound[1].map { try interpreter.text(of: $0) } ?? "common"
            guard ["common", "ceil", "floor"].contains(method) else { throw TemplateError.runtime("method must be common, ceil or floor") }
            if method == "common", let precision = bound[0], precision.isNone {
                guard case .float(let number)? = Number(value) else { return try interpreter.positive(value) }
                guard number.isFinite else { throw TemplateError.runtime("cannot convert float to integer") }
                return try interpreter.integer(BigInt(truncating: number.rounded(.toNearestOrEven)))
            }
            let precision = try interpreter.int(bound[0], "round", or: 0)
            guard let number = Number(value) else {
                if case .undefined(let undefined) = value { throw undefined.error }
                throw TemplateError.runtime("type \(value.typeName) doesn't define __round__ method")
            }
            if method == "common" { return try interpreter.rounded(number, precision) }
            // math.ceil(value * 10**precision) / 10**precision
            let factor = try interpreter.apply(.power, .int(10), .int(precision))
            let scaled = try interpreter.apply(.multiply, value, factor)
            guard case .float(let double) = scaled else { return try interpreter.apply(.divide, scaled, factor) }
            guard double.isFinite else { throw TemplateError.runtime("cannot convert float to integer") }
            let whole = try interpreter.integer(BigInt(truncating: double.rounded(method == "ceil" ? .up : .down)))
            return try interpreter.apply(.divide, whole, factor)
        },
        "filesizeformat": { interpreter, value, arguments in
            let isBinary = try interpreter.isTrue(arguments.bind("filesizeformat", "binary")[0] ?? .bool(false))
            if case .undefined(let undefined) = value { throw undefined.error }
            guard let bytes = try Number(value)?.double() ?? value.text.flatMap(parseFloat) else {
                throw TemplateError.runtime("could not convert string to float: \(try interpreter.representation(of: value))")
            }
            let base: Double = isBinary ? 1024 : 1000
            if bytes == 1 { return .string("1 Byte") }
            if bytes < base {
                guard bytes.isFinite else { throw TemplateError.runtime("cannot convert float to integer") }
                return .string("\(try interpreter.decimal(BigInt(truncating: bytes))) Bytes")
            }
            var unit = base
            for (index, prefix) in ["k", "M", "G", "T", "P", "E", "Z", "Y"].enumerated() {
                unit *= base
                guard bytes < unit || index == 7 else { continue }
                let number = try interpreter.format(.float(base * bytes / unit), ".1f")
                return .string("\(number) \(isBinary ? prefix.uppercased() + "iB" : prefix + "B")")
            }
            return .none
        },
    ]

    /// Python's `float(text)`; nil where that fails.
    static func parseFloat(_ text: String) -> Double? {
        var scalars = Array(text.unicodeScalars)
        while let last = scalars.last, last.isPythonSpace { scalars.removeLast() }
        let start = scalars.firstIndex { !$0.isPythonSpace } ?? scalars.count
        var bytes: [UInt8] = []
        for scalar in scalars[start...] {
            if let digit = scalar.decimalValue {
                bytes.append(UInt8(48 + digit))
            } else {
                guard scalar.isASCII else { return nil }
                bytes.append(UInt8(scalar.value))
            }
        }
        // Underscores stand between digits only.
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "_") {
            guard index > 0, index + 1 < bytes.count, bytes[index - 1].isDigit, bytes[index + 1].isDigit else { return nil }
        }
        bytes.removeAll { $0 == UInt8(ascii: "_") }
        let plain = String(decoding: bytes, as: UTF8.self)
        let word = LetterCase.lower(plain.hasPrefix("-") || plain.hasPrefix("+") ? String(plain.dropFirst()) : plain)
        let sign: Double = plain.hasPrefix("-") ? -1 : 1
        if word == "inf" || word == "infinity" { return sign * .infinity }
        if word == "nan" { return .nan }
        // Only decimal notation: Swift would also take hexadecimal.
        guard let first = word.utf8.first, first.isDigit || first == UInt8(ascii: "."),
            word.utf8.allSatisfy({ $0.isDigit || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") })
        else { return nil }
        var padded = plain
        // "5." and ".5" are numbers to Python.
        if let point = padded.firstIndex(of: ".") {
            let after = padded.index(after: point)
            if after == padded.endIndex || !padded[after].isNumber { padded.insert("0", at: after) }
        }
        if let point = padded.firstIndex(of: "."), point == padded.startIndex || !padded[padded.index(before: point)].isNumber {
            guard word != "." else { return nil }
            padded.insert("0", at: point)
        }
        return word == "." ? nil : Double(padded)
    }
}

extension Interpreter {
    /// Python's `int(text, base)`; nil where that is a ValueError.
    func parseInt(_ text: String, base: Int) throws -> Value? {
        guard base == 0 || (2...36).contains(base) else { return nil }
        let trimmed = try stripped(text, .none, left: true, right: true)
        var bytes: [UInt8] = []
        for scalar in trimmed.unicodeScalars {
            if let digit = scalar.decimalValue {
                bytes.append(UInt8(48 + digit))
            } else {
                guard scalar.isASCII else { return nil }
                bytes.append(UInt8(scalar.value))
            }
        }
        let isNegative = bytes.first == UInt8(ascii: "-")
        if isNegative || bytes.first == UInt8(ascii: "+") { bytes.removeFirst() }
        var radix = UInt32(base)
        var hasPrefix = false
        if bytes.count > 2, bytes[0] == UInt8(ascii: "0") {
            let own: UInt32? =
                switch bytes[1] | 0x20 {
                case UInt8(ascii: "x"): 16
                case UInt8(ascii: "o"): 8
                case UInt8(ascii: "b"): 2
                default: nil
                }
            if let own, radix == 0 || radix == own {
                radix = own
                bytes.removeFirst(2)
                hasPrefix = true
            }
        }
        if radix == 0 {
            if bytes.first == UInt8(ascii: "0"), bytes.contains(where: { $0 != UInt8(ascii: "0") && $0 != UInt8(ascii: "_") }) { return nil }
            radix = 10
        }
        guard bytes.last != UInt8(ascii: "_"), hasPrefix || bytes.first != UInt8(ascii: "_") else { return nil }
        for index in bytes.indices.dropFirst() where bytes[index] == UInt8(ascii: "_") && bytes[index - 1] == UInt8(ascii: "_") { return nil }
        bytes.removeAll { $0 == UInt8(ascii: "_") }
        guard bytes.count <= TemplateLimits.integerDigits, let number = BigInt(digits: bytes, radix: radix) else { return nil }
        return try integer(isNegative ? number.negated : number)
    }

    /// Python's `round(number, digits)`: to even, decided by the exact decimal value.
    fileprivate func rounded(_ number: Number, _ precision: Int) throws -> Value {
        if let whole = number.whole {
            guard precision < 0 else { return try integer(whole) }
            guard precision > -TemplateLimits.integerDigits else { return .int(0) }
            let unit = BigInt(10).power(-precision)
            let (quotient, remainder) = BigInt.floorDivide(whole, unit)
            let twice = BigInt.compare(remainder + remainder, unit)
            let isUp = twice > 0 || (twice == 0 && !quotient.isZero && quotient.limbs[0] & 1 == 1)
            return try integer((isUp ? quotient + BigInt(1) : quotient) * unit)
        }
        let double = try number.double()
        guard double.isFinite, double != 0, precision <= 323 else { return .float(double) }
        if precision < -308 { return .float(Double(signOf: double, magnitudeOf: 0)) }
        var digits = FloatText.Digits(exactly: double)
        digits.round(toPlaces: precision)
        let text = precision >= 0 ? digits.fixed(places: precision) : digits.scientific(places: max(0, digits.digits.count - 1), letter: "e")
        guard let magnitude = Double(text), magnitude.isFinite else { throw TemplateError.runtime("rounded value too large to represent") }
        return .float(Double(signOf: double, magnitudeOf: magnitude))
    }
}
