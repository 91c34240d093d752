extension Parser {
    mutating func parseExpression(withConditional: Bool = true) throws -> Expression {
        expressionDepth += 1
        defer { expressionDepth -= 1 }
        guard expressionDepth <= TemplateLimits.parserDepth else {
            throw fail("the expression is nested deeper than \(TemplateLimits.parserDepth)")
        }
        var result = try parseBinary(.or)
        while withConditional, current.isName("if") {
            let line = advance().line
            let test = try parseBinary(.or)
            let otherwise = skip(name: "else") ? try parseExpression() : nil
            result = try Expression(.conditional(test: test, then: result, otherwise: otherwise), line: line)
        }
        return result
    }

    /// Binary operators from the loosest to the tightest.
    private enum Level: Int { case or, and, not, comparison, sum, concatenation, product, power, unary }

    private mutating func parseBinary(_ level: Level) throws -> Expression {
        // A name or literal with nothing looser after it is the common case; the levels are walked by number, not by one function each,
        // to keep the stack of a nested expression small.
        switch level {
        case .not:
            var negations = 0
            let line = current.line
            while skip(name: "not") { negations += 1 }
            var operand = try parseBinary(.comparison)
            for _ in 0..<negations { operand = try Expression(.not(operand), line: line) }
            return operand
        case .comparison: return try parseComparison()
        case .unary: return try parseUnary()
        default: break
        }
        guard let tighter = Level(rawValue: level.rawValue + 1) else { return try parseUnary() }
        var left = try parseBinary(tighter)
        if level == .concatenation {
            guard current.isOperator(.tilde) else { return left }
            var parts = [left]
            let line = current.line
            while skip(.tilde) { parts.append(try parseBinary(tighter)) }
            return try Expression(.concatenation(parts), line: line)
        }
        while let op = binaryOperator(at: level) {
            let line = advance().line
            let right = try parseBinary(tighter)
            let kind: Expression.Kind =
                switch level {
                case .or: .or(left, right)
                case .and: .and(left, right)
                default: .binary(op, left, right)
                }
            left = try Expression(kind, line: line)
        }
        return left
    }

    /// The operator of that level here; `or` and `and` are words, for which any operator stands in.
    private func binaryOperator(at level: Level) -> Operator? {
        switch (level, current.kind) {
        case (.or, .name("or")), (.and, .name("and")): .tilde
        case (.sum, .op(let op)) where op == .add || op == .subtract: op
        case (.product, .op(let op)) where op == .multiply || op == .divide || op == .floorDivide || op == .modulo: op
        case (.power, .op(.power)): .power
        default: nil
        }
    }

    private mutating func parseComparison() throws -> Expression {
        let first = try parseBinary(.sum)
        var rest: [(comparison: Comparison, operand: Expression)] = []
        let line = current.line
        while let comparison = comparisonHere() {
            advance()
            if comparison == .notIn { advance() }
            rest.append((comparison, try parseBinary(.sum)))
        }
        return rest.isEmpty ? first : try Expression(.compare(first, rest), line: line)
    }

    private func comparisonHere() -> Comparison? {
        switch current.kind {
        case .op(.equal): .equal
        case .op(.notEqual): .notEqual
        case .op(.less): .less
        case .op(.lessEqual): .lessEqual
        case .op(.greater): .greater
        case .op(.greaterEqual): .greaterEqual
        case .name("in"): .isIn
        case .name("not"): following.isName("in") ? .notIn : nil
        default: nil
        }
    }

    private mutating func parseUnary() throws -> Expression {
        // The signs come first, then what follows the operand binds to the signed value: `-1 | abs` is 1.
        var signs: [(op: Operator, line: Int)] = []
        while case .op(let op) = current.kind, op == .subtract || op == .add { signs.append((op, advance().line)) }
        var node = try parsePostfix(try parsePrimary())
        for sign in signs.reversed() {
            node = try Expression(sign.op == .subtract ? .negative(node) : .positive(node), line: sign.line)
            node = try parsePostfix(node)
        }
        while true {
            if current.isOperator(.pipe) {
                guard let filtered = try parseFilters(node) else { return node }
                node = filtered
            } else if current.isName("is") {
                node = try parseTest(node)
            } else if current.isOperator(.leftParenthesis) {
                node = try parseCall(node)
            } else {
                return node
            }
        }
    }

    mutating func parsePrimary() throws -> Expression {
        let token = current
        switch token.kind {
        case .name(let name):
            advance()
            switch name {
            case "true", "True": return try Expression(.constant(.bool(true)), line: token.line)
            case "false", "False": return try Expression(.constant(.bool(false)), line: token.line)
            case "none", "None": return try Expression(.constant(.none), line: token.line)
            default: return try Expression(.name(id(of: name)), line: token.line)
            }
        case .string(var text):
            advance()
            while case .string(let more) = current.kind {
                text += more
                advance()
            }
            return try Expression(.constant(.string(text)), line: token.line)
        case .integer(let constant):
            advance()
            return try Expression(.constant(constant), line: token.line)
        case .float(let value):
            advance()
            return try Expression(.constant(.float(value)), line: token.line)
        case .op(.leftParenthesis):
            advance()
            let inner = try parseTuple(inParentheses: true)
            try expect(.rightParenthesis)
            return inner
        case .op(.leftBracket):
            advance()
            var items: [Expression] = []
            while !current.isOperator(.rightBracket) {
                if !items.isEmpty { try expect(.comma) }
                if current.isOperator(.rightBracket) { break }
                items.append(try parseExpression())
            }
            try expect(.rightBracket)
            return try Expression(.list(items), line: token.line)
        case .op(.leftBrace):
            advance()
            var pairs: [(key: Expression, value: Expression)] = []
            while !current.isOperator(.rightBrace) {
                if !pairs.isEmpty { try expect(.comma) }
                if current.isOperator(.rightBrace) { break }
                let key = try parseExpression()
                try expect(.colon)
                pairs.append((key, try parseExpression()))
            }
            try expect(.rightBrace)
            return try Expression(.dict(pairs), line: token.line)
        default: throw fail("unexpected '\(token.description)'")
        }
    }

    /// One expression, or several with commas: a tuple without brackets. `end` is a word that may follow.
    mutating func parseTuple(withConditional: Bool = true, end: String? = nil, inParentheses: Bool = false) throws -> Expression {
        let line = current.line
        var items: [Expression] = [], isTuple = false
        while true {
            if !items.isEmpty { try expect(.comma) }
            if isTupleEnd(end) { break }
            items.append(try parseExpression(withConditional: withConditional))
            guard current.isOperator(.comma) else { break }
            isTuple = true
        }
        if !isTuple {
            if let only = items.first { return only }
            if !inParentheses { throw fail("Expected an expression, got '\(current.description)'") }
        }
        return try Expression(.tuple(items), line: line)
    }

    private func isTupleEnd(_ end: String?) -> Bool {
        switch current.kind {
        case .variableEnd, .blockEnd, .op(.rightParenthesis): true
        case .name(let name): name == end
        default: false
        }
    }

    // MARK: What follows an operand

    private mutating func parsePostfix(_ node: Expression) throws -> Expression {
        var node = node
        while true {
            if current.isOperator(.dot) || current.isOperator(.leftBracket) {
                node = try parseSubscript(node)
            } else if current.isOperator(.leftParenthesis) {
                node = try parseCall(node)
            } else {
                return node
            }
        }
    }

    private mutating func parseSubscript(_ node: Expression) throws -> Expression {
        let token = advance()
        if token.isOperator(.dot) {
            switch current.kind {
            case .name(let name):
                advance()
                return try Expression(.attribute(node, name), line: token.line)
            case .integer(let constant):
                let key = try Expression(.constant(constant), line: advance().line)
                return try Expression(.item(node, key), line: token.line)
            default: throw fail("expected name or number")
            }
        }
        if current.isOperator(.colon) { return try parseSlice(node, start: nil, line: token.line) }
        var keys: [Expression] = []
        while !current.isOperator(.rightBracket) {
            if !keys.isEmpty { try expect(.comma) }
            let key = try parseExpression()
            if current.isOperator(.colon) {
                guard keys.isEmpty else { throw fail("a slice cannot be part of a tuple") }
                return try parseSlice(node, start: key, line: token.line)
            }
            keys.append(key)
        }
        try expect(.rightBracket)
        let key = keys.count == 1 ? keys[0] : try Expression(.tuple(keys), line: token.line)
        return try Expression(.item(node, key), line: token.line)
    }

    /// From the first colon on.
    private mutating func parseSlice(_ node: Expression, start: Expression?, line: Int) throws -> Expression {
        try expect(.colon)
        var bounds: [Expression?] = [nil, nil]
        for place in 0..<2 {
            if !current.isOperator(.colon), !current.isOperator(.rightBracket) { bounds[place] = try parseExpression() }
            if place == 0, !skip(.colon) { break }
        }
        try expect(.rightBracket)
        return try Expression(.slice(node, start: start, stop: bounds[0], step: bounds[1]), line: line)
    }

    private mutating func parseCall(_ node: Expression) throws -> Expression {
        let line = current.line
        return try Expression(.call(node, try parseCallArguments()), line: line)
    }

    private mutating func parseCallArguments() throws -> CallArguments {
        let line = current.line
        try expect(.leftParenthesis)
        var arguments = CallArguments(), needsComma = false
        func ensure(_ condition: Bool) throws {
            guard condition else { throw fail("invalid syntax for function call expression", line: line) }
        }
        while !current.isOperator(.rightParenthesis) {
            if needsComma {
                try expect(.comma)
                if current.isOperator(.rightParenthesis) { break }
            }
            if skip(.multiply) {
                try ensure(arguments.list == nil && arguments.mapping == nil)
                arguments.list = try parseExpression()
            } else if skip(.power) {
                try ensure(arguments.mapping == nil)
                arguments.mapping = try parseExpression()
            } else if let name = current.name, following.isOperator(.assign) {
                try ensure(arguments.mapping == nil)
                if arguments.keywords.contains(where: { $0.name.isSame(as: name) }) { throw fail("keyword argument repeated: \(name)") }
                advance()
                advance()
                arguments.keywords.append((name, try parseExpression()))
            } else {
                try ensure(arguments.list == nil && arguments.mapping == nil && arguments.keywords.isEmpty)
                arguments.positional.append(try parseExpression())
            }
            needsComma = true
        }
        try expect(.rightParenthesis)
        return arguments
    }

    /// Any number of `| filter` applied to the operand, which is nil in filter and set blocks.
    mutating func parseFilters(_ node: Expression?, startsInline: Bool = false) throws -> Expression? {
        var node = node, inline = startsInline
        while inline || current.isOperator(.pipe) {
            if !inline { advance() }
            inline = false
            let line = current.line
            let name = try parseDottedName()
            let arguments = current.isOperator(.leftParenthesis) ? try parseCallArguments() : CallArguments()
            node = try Expression(.filter(node, name: name, function: Filters.table[name], arguments), line: line)
        }
        return node
    }

    private mutating func parseDottedName() throws -> String {
        var name = try expectName()
        while skip(.dot) { name += "." + (try expectName()) }
        return name
    }

    private mutating func parseTest(_ node: Expression) throws -> Expression {
        let line = advance().line
        let isNegated = skip(name: "not")
        let name = try parseDottedName()
        var arguments = CallArguments()
        switch current.kind {
        case .op(.leftParenthesis): arguments = try parseCallArguments()
        case .name("else"), .name("or"), .name("and"): break
        case .name("is"): throw fail("You cannot chain multiple tests with is")
        case .name, .string, .integer, .float, .op(.leftBracket), .op(.leftBrace):
            arguments.positional = [try parsePostfix(try parsePrimary())]
        default: break
        }
        let test = try Expression(.test(node, name: name, function: Tests.table[name], arguments), line: line)
        return isNegated ? try Expression(.not(test), line: line) : test
    }

    // MARK: Targets

    mutating func parseName() throws -> String {
        let name = try expectName()
        guard !["true", "false", "none", "True", "False", "None"].contains(name) else { throw fail("can't assign to '\(name)'") }
        return name
    }

    /// Names with commas, parentheses around some perhaps. `end` is the word after the target.
    mutating func parseTarget(withNamespace: Bool, end: String?) throws -> Target {
        expressionDepth += 1
        defer { expressionDepth -= 1 }
        guard expressionDepth <= TemplateLimits.parserDepth else { throw fail("the assignment is nested too deep") }
        var parts: [Target] = [], isTuple = false
        while true {
            if !parts.isEmpty { try expect(.comma) }
            if isTupleEnd(end) { break }
            parts.append(try parseSingleTarget(withNamespace: withNamespace))
            guard current.isOperator(.comma) else { break }
            isTuple = true
        }
        if !isTuple, let only = parts.first { return only }
        guard isTuple else { throw fail("Expected an expression, got '\(current.description)'") }
        return .tuple(parts)
    }

    private mutating func parseSingleTarget(withNamespace: Bool) throws -> Target {
        let line = current.line
        if skip(.leftParenthesis) {
            let inner = try parseTarget(withNamespace: withNamespace, end: nil)
            try expect(.rightParenthesis)
            return inner
        }
        guard current.name != nil else { throw fail("can't assign to '\(current.description)'") }
        let name = try parseName()
        if withNamespace, skip(.dot) { return .namespace(id(of: name), attribute: try expectName(), line: line) }
        return .name(id(of: name), line: line)
    }
}
