import JSON

extension Interpreter {
    func compare(_ left: Value, _ comparison: Comparison, _ right: Value) throws -> Bool {
        switch comparison {
        case .equal: return try areEqual(left, right)
        case .notEqual: return try !areEqual(left, right)
        case .isIn: return try contains(right, left)
        case .notIn: return try !contains(right, left)
        case .less: return try isOrdered(left, right, "<") { $0 < 0 }
        case .lessEqual: return try isOrdered(left, right, "<=") { $0 <= 0 }
        case .greater: return try isOrdered(left, right, ">") { $0 > 0 }
        case .greaterEqual: return try isOrdered(left, right, ">=") { $0 >= 0 }
        }
    }

    /// Python's `==`.
    func areEqual(_ left: Value, _ right: Value) throws -> Bool {
        try charge()
        switch (left, right) {
        case (.string(let a), .string(let b)), (.string(let a), .markup(let b)), (.markup(let a), .string(let b)),
            (.markup(let a), .markup(let b)):
            try charge(min(a.utf8.count, b.utf8.count) >> 6)
            return a.isSame(as: b)
        case (.int(let a), .int(let b)): return a == b
        case (.none, .none): return true
        case (.undefined, .undefined): return true
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)): return try areEqual(a.items, b.items)
        case (.dict(let a), .dict(let b)):
            guard a.count == b.count else { return false }
            for (key, value) in zip(a.keys, a.values) {
                guard let other = try b.value(for: key), try areEqual(value, other) else { return false }
            }
            return true
        case (.range(let a), .range(let b)):
            return a.count == b.count && (a.count == 0 || (a.start == b.start && (a.count == 1 || a.step == b.step)))
        case (.view(let a), .view(let b)):
            guard a.kind != .values, b.kind != .values else { return a === b }
            guard a.count == b.count else { return false }
            for index in 0..<a.count where try !contains(right, a.item(index)) { return false }
            return true
        default: break
        }
        if let a = Number(left), let b = Number(right) { return Self.order(a, b) == 0 }
        return try isSameObject(left, right)
    }

    private func areEqual(_ a: [Value], _ b: [Value]) throws -> Bool {
        guard a.count == b.count else { return false }
        for (x, y) in zip(a, b) where try !areEqual(x, y) { return false }
        return true
    }

    /// -1, 0, 1, or nil where one is no number.
    static func order(_ left: Number, _ right: Number) -> Int? {
        switch (left, right) {
        case (.int(let a), .int(let b)): return a < b ? -1 : a > b ? 1 : 0
        case (.float(let a), .float(let b)): return a.isNaN || b.isNaN ? nil : a < b ? -1 : a > b ? 1 : 0
        case (.float(let a), _): return right.whole.flatMap { order($0, a) }.map { -$0 }
        case (_, .float(let b)): return left.whole.flatMap { order($0, b) }
        default:
            guard let a = left.whole, let b = right.whole else { return nil }
            return BigInt.compare(a, b)
        }
    }

    /// An integer against a double, exactly.
    private static func order(_ a: BigInt, _ b: Double) -> Int? {
        if b.isNaN { return nil }
        if b.isInfinite { return b > 0 ? -1 : 1 }
        let whole = BigInt(truncating: b)
        let order = BigInt.compare(a, whole)
        if order != 0 { return order }
        let fraction = b - b.rounded(.towardZero)
        return fraction > 0 ? -1 : fraction < 0 ? 1 : 0
    }

    private func isOrdered(_ left: Value, _ right: Value, _ name: String, _ accept: (Int) -> Bool) throws -> Bool {
        if let a = Number(left), let b = Number(right) { return Self.order(a, b).map(accept) ?? false }
        return accept(try order(left, right, name))
    }

    /// -1, 0 or 1 for values that Python orders; `name` is the operator for the message.
    func order(_ left: Value, _ right: Value, _ name: String = "<") throws -> Int {
        try charge()
        if let a = Number(left), let b = Number(right) { return Self.order(a, b) ?? 0 }
        if let a = left.text, let b = right.text {
            try charge(min(a.utf8.count, b.utf8.count) >> 6)
            return a.isBefore(b) ? -1 : a.isSame(as: b) ? 0 : 1
        }
        switch (left, right) {
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            for (x, y) in zip(a.items, b.items) where try !areEqual(x, y) { return try order(x, y, name) }
            return a.items.count < b.items.count ? -1 : a.items.count > b.items.count ? 1 : 0
        case (.undefined(let undefined), _), (_, .undefined(let undefined)): throw undefined.error
        default:
            throw TemplateError.runtime("'\(name)' not supported between instances of '\(left.typeName)' and '\(right.typeName)'")
        }
    }

    /// Python's `in`.
    func contains(_ container: Value, _ item: Value) throws -> Bool {
        switch container {
        case .string(let text), .markup(let text):
            guard let needle = item.text else {
                if case .undefined(let undefined) = item { throw undefined.error }
                throw TemplateError.runtime("'in <string>' requires string as left operand, not \(item.typeName)")
            }
            try charge(1 + text.utf8.count >> 5)
            if needle.isEmpty { return true }
            if needle.utf8.count > text.utf8.count { return false }
            let bytes = Array(text.utf8)
            return ByteSearch(Array(needle.utf8)).first(in: bytes, from: 0, to: bytes.count) != nil
        case .dict(let box): return try box.value(for: item) != nil
        case .range(let range):
            guard let number = Number(item) else { return false }
            for index in 0..<range.count where Self.order(.int(range[index]), number) == 0 { return true }
            return false
        case .view(let view) where view.kind == .keys: return try view.dict.value(for: item) != nil
        default:
            guard let iterator = try iterator(over: container) else {
                throw TemplateError.runtime("argument of type '\(container.typeName)' is not iterable")
            }
            while let element = try iterator.next() { if try areEqual(element, item) { return true } }
            return false
        }
    }

    /// Python's `is`, as far as it can be told from values: equal immutable values of one type count as one object.
    func isSameObject(_ left: Value, _ right: Value) throws -> Bool {
        switch (left, right) {
        case (.none, .none): true
        case (.bool(let a), .bool(let b)): a == b
        case (.int(let a), .int(let b)): a == b && (-5...256).contains(a)
        case (.string(let a), .string(let b)): a.isSame(as: b)
        case (.list(let a), .list(let b)): a === b
        case (.tuple(let a), .tuple(let b)): a === b || (a.items.isEmpty && b.items.isEmpty)
        case (.dict(let a), .dict(let b)): a === b
        case (.generator(let a), .generator(let b)): a === b
        case (.namespace(let a), .namespace(let b)): a === b
        case (.loop(let a), .loop(let b)): a === b
        case (.macro(let a), .macro(let b)): a === b
        case (.function(let a), .function(let b)): a === b
        case (.cycler(let a), .cycler(let b)): a === b
        case (.joiner(let a), .joiner(let b)): a === b
        case (.range(let a), .range(let b)): a === b
        case (.view(let a), .view(let b)): a === b
        case (.undefined(let a), .undefined(let b)): a === b
        default: false
        }
    }
}
