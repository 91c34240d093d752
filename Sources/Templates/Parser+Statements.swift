extension Parser {
    /// Statements up to a tag of `ends` (which stays current, after its `{%`), or up to the end of the template where there is none.
    mutating func parseBody(until ends: [String]) throws -> [Statement] {
        blockDepth += 1
        awaited.append(ends)
        defer {
            blockDepth -= 1
            awaited.removeLast()
        }
        guard blockDepth <= TemplateLimits.blockDepth else {
            throw fail("blocks are nested deeper than \(TemplateLimits.blockDepth)")
        }
        var body: [Statement] = []
        while true {
            switch current.kind {
            case .data(let text):
                advance()
                body.append(.text(text))
            case .variableBegin:
                advance()
                body.append(.output(try parseTuple()))
                guard case .variableEnd = current.kind else { throw expected("end of print statement") }
                advance()
            case .blockBegin:
                advance()
                if let name = current.name, ends.contains(name) { return body }
                body += try parseStatement()
                try expectBlockEnd()
            case .end:
                guard ends.isEmpty else { throw unexpectedTag(nil) }
                return body
            default: throw fail("unexpected '\(current.description)'")
            }
        }
    }

    /// The rest of an opening tag and the body after it; the closing tag is passed over.
    private mutating func parseBlock(until end: String) throws -> [Statement] {
        let body = try parseBlock(untilAny: [end])
        advance()
        return body
    }

    private mutating func parseBlock(untilAny ends: [String]) throws -> [Statement] {
        _ = skip(.colon)
        try expectBlockEnd()
        return try parseBody(until: ends)
    }

    private func unexpectedTag(_ name: String?) -> TemplateError {
        var message = name.map { "Encountered unknown tag '\($0)'." } ?? "Unexpected end of template."
        if let ends = awaited.last, !ends.isEmpty {
            message += " Jinja was looking for the following tags: \(ends.map { "'\($0)'" }.joined(separator: " or "))."
        }
        return fail(message)
    }

    private mutating func parseStatement() throws -> [Statement] {
        guard let tag = current.name else { throw fail("tag name expected") }
        let line = current.line
        switch tag {
        case "for": return [.forLoop(try parseFor())]
        case "if": return [try parseIf()]
        case "set": return [try parseSet()]
        case "print": return try parsePrint()
        case "macro":
            advance()
            let name = try parseName()
            return [.macro(try parseMacro(name: name, until: "endmacro", line: line, hasSignature: true))]
        case "call": return [try parseCall()]
        case "filter":
            advance()
            let filter = try parseFilters(nil, startsInline: true)
            guard let filter else { throw expected("name") }
            return [.filterBlock(filter, body: try inNewFunction(false) { try $0.parseBlock(until: "endfilter") }, scope: newScope())]
        case "with": return [try parseWith()]
        case "autoescape":
            advance()
            _ = try parseExpression()
            return [.scoped(try parseBlock(until: "endautoescape"), scope: newScope())]
        case "generation":
            advance()
            return [.scoped(try inNewFunction { try $0.parseBlock(until: "endgeneration") }, scope: newScope())]
        case "block": return [try parseBlockTag()]
        case "break", "continue":
            advance()
            guard loopDepth > 0 else { throw fail("'\(tag)' outside loop", line: line) }
            return [tag == "break" ? .breakLoop : .continueLoop]
        case "extends", "include", "import", "from":
            // Chat templates stand alone. The tag is read over so that a template that never reaches it still works.
            while !current.isBlockEnd, !current.isEnd { advance() }
            return [.unsupported(tag, line: line)]
        default: throw unexpectedTag(tag)
        }
    }

    /// Runs `body` with no loop around: `break` does not reach out of a macro.
    private mutating func inNewFunction<T>(_ isFunction: Bool = true, _ body: (inout Parser) throws -> T) throws -> T {
        let depth = loopDepth
        if isFunction { loopDepth = 0 }
        defer { loopDepth = depth }
        return try body(&self)
    }

    private mutating func parseFor() throws -> ForLoop {
        let line = advance().line
        let target = try parseTarget(withNamespace: false, end: "in")
        target.forEach { part in if case .name(let id, _) = part, id == names["loop"] { self.assignsLoop = true } }
        if assignsLoop { throw fail("Can't assign to special loop variable in for-loop target", line: line) }
        try expect(name: "in")
        let sequence = try parseTuple(withConditional: false, end: "recursive")
        let test = skip(name: "if") ? try parseExpression() : nil
        let isRecursive = skip(name: "recursive")
        loopDepth += 1
        defer { loopDepth -= 1 }
        let body = try parseBlock(untilAny: ["endfor", "else"])
        if assignsLoop { throw fail("Can't assign to special loop variable in for-loop target", line: line) }
        var otherwise: [Statement] = []
        if advance().isName("else") {
            // Python puts the else branch outside the loop, so its `break` is the outer loop's.
            loopDepth -= 1
            defer { loopDepth += 1 }
            otherwise = try parseBlock(until: "endfor")
        }
        return ForLoop(
            target: target, sequence: sequence, test: test, isRecursive: isRecursive, body: body, otherwise: otherwise, scope: newScope(),
            testScope: newScope(), otherwiseScope: newScope(), line: line)
    }

    private mutating func parseIf() throws -> Statement {
        var branches: [(test: Expression, body: [Statement])] = []
        var otherwise: [Statement] = []
        advance()
        while true {
            let test = try parseTuple(withConditional: false)
            branches.append((test, try parseBlock(untilAny: ["elif", "else", "endif"])))
            let tag = advance()
            if tag.isName("elif") { continue }
            if tag.isName("else") { otherwise = try parseBlock(until: "endif") }
            return .ifElse(branches, otherwise: otherwise)
        }
    }

    private mutating func parseSet() throws -> Statement {
        advance()
        let target = try parseTarget(withNamespace: true, end: nil)
        target.forEach { part in if case .name(let id, _) = part, id == names["loop"], loopDepth > 0 { self.assignsLoop = true } }
        if skip(.assign) { return .set(target, try parseTuple()) }
        let filter = try parseFilters(nil)
        let body = try inNewFunction(false) { try $0.parseBlock(until: "endset") }
        return .setBlock(target, filter: filter, body: body, scope: newScope())
    }

    private mutating func parsePrint() throws -> [Statement] {
        advance()
        var outputs: [Statement] = []
        while !current.isBlockEnd {
            if !outputs.isEmpty { try expect(.comma) }
            outputs.append(.output(try parseExpression()))
        }
        return outputs
    }

    private mutating func parseWith() throws -> Statement {
        advance()
        var pairs: [(target: Target, value: Expression)] = []
        while !current.isBlockEnd {
            if !pairs.isEmpty { try expect(.comma) }
            let target = try parseTarget(withNamespace: false, end: nil)
            try expect(.assign)
            pairs.append((target, try parseExpression()))
        }
        return .with(pairs, body: try parseBlock(until: "endwith"), scope: newScope())
    }

    private mutating func parseCall() throws -> Statement {
        let line = advance().line
        let signature = current.isOperator(.leftParenthesis) ? try parseSignature() : ([], [])
        let call = try parseExpression()
        guard case .call = call.kind else { throw fail("expected call", line: line) }
        let body = try inNewFunction { try $0.parseBlock(until: "endcall") }
        return .callBlock(
            call,
            MacroDefinition(
                name: nil, nameID: id(of: "caller"), parameters: signature.0, defaults: signature.1, body: body, scope: newScope(), line: line))
    }

    private mutating func parseMacro(name: String, until end: String, line: Int, hasSignature: Bool) throws -> MacroDefinition {
        let nameID = id(of: name)
        let signature = try parseSignature()
        let body = try inNewFunction { try $0.parseBlock(until: end) }
        return MacroDefinition(
            name: name, nameID: nameID, parameters: signature.0, defaults: signature.1, body: body, scope: newScope(), line: line)
    }

    private mutating func parseSignature() throws -> ([(name: String, id: Int)], [Expression]) {
        var parameters: [(name: String, id: Int)] = [], defaults: [Expression] = []
        try expect(.leftParenthesis)
        while !current.isOperator(.rightParenthesis) {
            if !parameters.isEmpty { try expect(.comma) }
            let name = try parseName()
            if parameters.contains(where: { $0.name.isSame(as: name) }) { throw fail("duplicate argument '\(name)' in macro definition") }
            parameters.append((name, id(of: name)))
            if skip(.assign) {
                defaults.append(try parseExpression())
            } else if !defaults.isEmpty {
                throw fail("non-default argument follows default argument")
            }
        }
        try expect(.rightParenthesis)
        return (parameters, defaults)
    }

    private mutating func parseBlockTag() throws -> Statement {
        let line = advance().line
        let name = try expectName()
        guard blockNames.insert(name).inserted else { throw fail("block '\(name)' defined twice", line: line) }
        let isScoped = skip(name: "scoped"), isRequired = skip(name: "required")
        let body = try inNewFunction { try $0.parseBlock(untilAny: ["endblock"]) }
        advance()
        if isRequired {
            for statement in body {
                guard case .text(let text) = statement, text.unicodeScalars.allSatisfy(\.isPythonSpace) else {
                    throw fail("Required blocks can only contain comments or whitespace", line: line)
                }
            }
        }
        _ = skip(name: name)
        return .block(BlockDefinition(name: name, isScoped: isScoped, isRequired: isRequired, body: body, scope: newScope(), line: line))
    }
}
