#if canImport(Glibc)
import Glibc
#endif

/// A number as Python computes with it.
enum Number {
    case int(Int)
    case big(BigInt)
    case float(Double)

    init?(_ value: Value) {
        switch value {
        case .int(let number): self = .int(number)
        case .bool(let flag): self = .int(flag ? 1 : 0)
        case .big(let number): self = .big(number)
        case .float(let number): self = .float(number)
        default: return nil
        }
    }

    /// The whole number, if it is one by type.
    var whole: BigInt? {
        switch self {
        case .int(let number): BigInt(number)
        case .big(let number): number
        case .float: nil
        }
    }

    /// As a double; integers out of range are an error.
    func double() throws -> Double {
        switch self {
        case .int(let number): return Double(number)
        case .float(let number): return number
        case .big(let number):
            let result = number.double
            guard result.isFinite else { throw TemplateError.runtime("int too large to convert to float") }
            return result
        }
    }
}

extension Interpreter {
    func apply(_ op: Operator, _ left: Value, _ right: Value) throws -> Value {
        if case .int(let a) = left, case .int(let b) = right {
            switch op {
            case .add:
                let (result, overflow) = a.addingReportingOverflow(b)
                if !overflow { return .int(result) }
            case .subtract:
                let (result, overflow) = a.subtractingReportingOverflow(b)
                if !overflow { return .int(result) }
            case .multiply:
                let (result, overflow) = a.multipliedReportingOverflow(by: b)
                if !overflow { return .int(result) }
            default: break
            }
        }
        if case .undefined(let undefined) = left, op != .modulo || left.text == nil { throw undefined.error }
        if op == .modulo, let format = left.text { return try percentFormat(format, right, markup: isMarkup(left)) }
        if case .undefined(let undefined) = right { throw undefined.error }
        if let a = Number(left), let b = Number(right) { return try arithmetic(op, a, b) }
        switch op {
        case .add:
            switch (left, right) {
            case (.string(let a), .string(let b)):
                try allocate(a.utf8.count + b.utf8.count)
                return .string(a + b)
            case (.markup, _), (_, .markup):
                guard let a = left.text, let b = right.text else { break }
                let escapedA = isMarkup(left) ? a : escapeHTML(a), escapedB = isMarkup(right) ? b : escapeHTML(b)
                try allocate(escapedA.utf8.count + escapedB.utf8.count)
                return .markup(escapedA + escapedB)
            case (.list(let a), .list(let b)):
                try allocate(elements: a.items.count + b.items.count)
                return .list(ListBox(a.items + b.items, depth: max(a.depth, b.depth)))
            case (.tuple(let a), .tuple(let b)):
                try allocate(elements: a.items.count + b.items.count)
                return .tuple(ListBox(a.items + b.items, depth: max(a.depth, b.depth)))
            case (.string, _): throw TemplateError.runtime("can only concatenate str (not \"\(right.typeName)\") to str")
            case (.list, _): throw TemplateError.runtime("can only concatenate list (not \"\(right.typeName)\") to list")
            case (.tuple, _): throw TemplateError.runtime("can only concatenate tuple (not \"\(right.typeName)\") to tuple")
            default: break
            }
        case .multiply:
            if let result = try repeated(left, by: right) ?? repeated(right, by: left) { return result }
        default: break
        }
        throw TemplateError.runtime(
            "unsupported operand type(s) for \(op == .power ? "** or pow()" : op.rawValue): '\(left.typeName)' and '\(right.typeName)'")
    }

    /// A sequence repeated; nil where these two do not make one.
    private func repeated(_ sequence: Value, by factor: Value) throws -> Value? {
        let count: Int
        switch factor {
        case .int(let number): count = max(number, 0)
        case .bool(let flag): count = flag ? 1 : 0
        case .big(let number): count = number.negative ? 0 : Int.max
        default: return nil
        }
        switch sequence {
        case .string(let text), .markup(let text):
            let (bytes, overflow) = text.utf8.count.multipliedReportingOverflow(by: count)
            try allocate(overflow ? Int.max : bytes)
            let result = text.isEmpty ? "" : String(repeating: text, count: count)
            return isMarkup(sequence) ? .markup(result) : .string(result)
        case .list(let box), .tuple(let box):
            let (total, overflow) = box.items.count.multipliedReportingOverflow(by: count)
            try allocate(elements: overflow ? Int.max : total)
            var items: [Value] = []
            items.reserveCapacity(total)
            if !box.items.isEmpty { for _ in 0..<count { items += box.items } }
            let result = ListBox(items, depth: box.depth)
            if case .tuple = sequence { return .tuple(result) }
            return .list(result)
        default: return nil
        }
    }

    private func arithmetic(_ op: Operator, _ left: Number, _ right: Number) throws -> Value {
        guard let a = left.whole, let b = right.whole else { return .float(try float(op, left.double(), right.double())) }
        try charge(1 + (a.limbs.count * b.limbs.count) >> 4)
        switch op {
        case .add: return try integer(a + b)
        case .subtract: return try integer(a - b)
        case .multiply: return try integer(a * b)
        case .floorDivide, .modulo:
            guard !b.isZero else { throw TemplateError.runtime("integer division or modulo by zero") }
            if case .int(let x) = left, case .int(let y) = right, y != -1 {
                let (q, r) = x.quotientAndRemainder(dividingBy: y)
                let isOff = r != 0 && (r < 0) != (y < 0)
                return .int(op == .modulo ? (isOff ? r + y : r) : (isOff ? q - 1 : q))
            }
            let (quotient, remainder) = BigInt.floorDivide(a, b)
            return try integer(op == .modulo ? remainder : quotient)
        case .divide:
            guard !b.isZero else { throw TemplateError.runtime("division by zero") }
            return .float(try quotient(a, b))
        case .power:
            if b.negative { return .float(try float(.power, left.double(), right.double())) }
            if b.isZero { return .int(1) }
            if a.isZero || a == BigInt(1) { return try integer(a) }
            guard let exponent = b.small else {
                if a == BigInt(-1) { return .int(b.limbs[0] & 1 == 0 ? 1 : -1) }
                throw TemplateError.limit("an integer has more than \(limits.integerBits) bits")
            }
            if a == BigInt(-1) { return .int(exponent & 1 == 0 ? 1 : -1) }
            let (bits, overflow) = (a.bitCount - 1).multipliedReportingOverflow(by: exponent)
            guard !overflow, bits <= limits.integerBits, exponent <= limits.integerBits else {
                throw TemplateError.limit("an integer has more than \(limits.integerBits) bits")
            }
            try charge((bits >> 5) * (bits >> 5) >> 2)
            return try integer(a.power(exponent))
        default: throw TemplateError.runtime("unsupported operand")
        }
    }

    /// True division of integers, rounded once.
    private func quotient(_ a: BigInt, _ b: BigInt) throws -> Double {
        if a.bitCount <= 53, b.bitCount <= 53, let x = a.small, let y = b.small { return Double(x) / Double(y) }
        // Scale so that the integer quotient has at least 66 bits, the last of which says whether something was cut off.
        let shift = max(0, 66 - a.bitCount + b.bitCount)
        let (q, r) = BigInt.divideMagnitudes(a.shiftedLeft(shift).limbs, b.limbs)
        var quotient = BigInt(negative: a.negative != b.negative, limbs: q)
        if r.contains(where: { $0 != 0 }), quotient.limbs[0] & 1 == 0 { quotient.limbs[0] |= 1 }
        // The quotient may be larger than a double before it is scaled back.
        let excess = max(0, quotient.bitCount - 900)
        var kept = quotient
        if excess > 0 {
            let (head, tail) = BigInt.divideMagnitudes(quotient.limbs, BigInt(1).shiftedLeft(excess).limbs)
            kept = BigInt(negative: quotient.negative, limbs: head)
            if tail.contains(where: { $0 != 0 }), kept.limbs[0] & 1 == 0 { kept.limbs[0] |= 1 }
        }
        let result = Double(sign: .plus, exponent: excess - shift, significand: kept.double)
        guard result.isFinite else { throw TemplateError.runtime("integer division result too large for a float") }
        return result
    }

    private func float(_ op: Operator, _ a: Double, _ b: Double) throws -> Double {
        switch op {
        case .add: return a + b
        case .subtract: return a - b
        case .multiply: return a * b
        case .divide:
            guard b != 0 else { throw TemplateError.runtime("float division by zero") }
            return a / b
        case .floorDivide, .modulo:
            guard b != 0 else { throw TemplateError.runtime("float \(op == .modulo ? "modulo" : "floor division by zero")") }
            var remainder = fmod(a, b)
            var quotient = (a - remainder) / b
            if remainder != 0 {
                if (b < 0) != (remainder < 0) {
                    remainder += b
                    quotient -= 1
                }
            } else {
                remainder = Double(signOf: b, magnitudeOf: 0)
            }
            if op == .modulo { return remainder }
            if quotient == 0 { return Double(signOf: a / b, magnitudeOf: 0) }
            let floor = quotient.rounded(.down)
            return quotient - floor > 0.5 ? floor + 1 : floor
        case .power:
            if a == 0, b < 0 { throw TemplateError.runtime("0.0 cannot be raised to a negative power") }
            if a < 0, a.isFinite, b.isFinite, b != b.rounded() {
                throw TemplateError.runtime("complex numbers are not supported")
            }
            let result = pow(a, b)
            if result.isInfinite, a.isFinite, b.isFinite { throw TemplateError.runtime("(34, 'Numerical result out of range')") }
            return result
        default: throw TemplateError.runtime("unsupported operand")
        }
    }

    func negative(_ value: Value) throws -> Value {
        switch Number(value) {
        case .int(let number): return number == Int.min ? try integer(BigInt(number).negated) : .int(-number)
        case .big(let number): return try integer(number.negated)
        case .float(let number): return .float(-number)
        case nil:
            if case .undefined(let undefined) = value { throw undefined.error }
            throw TemplateError.runtime("bad operand type for unary -: '\(value.typeName)'")
        }
    }

    func positive(_ value: Value) throws -> Value {
        switch Number(value) {
        case .int(let number): return .int(number)
        case .big, .float: return value
        case nil:
            if case .undefined(let undefined) = value { throw undefined.error }
            throw TemplateError.runtime("bad operand type for unary +: '\(value.typeName)'")
        }
    }
}
