/// Tokens to statements. Grammar and precedence are Jinja's (`parser.py` of 3.1): comparison binds looser than `+`, `~` sits between
/// `+` and `*`, `**` groups to the left, and a filter binds tighter than any binary operator.
struct Parser {
    private let tokens: [Token]
    private var index = 0
    /// Numbers of the names that occur as variables.
    private(set) var names: [String: Int] = [:]
    private(set) var scopeCount = 1
    /// Loops around the statement within the same macro; `break` needs one.
    var loopDepth = 0
    /// Set when something inside a loop assigns to `loop`, which Jinja refuses.
    var assignsLoop = false
    var blockDepth = 0
    var expressionDepth = 0
    var blockNames: Set<String> = []
    /// Tags that would end the blocks around, innermost last; for messages.
    var awaited: [[String]] = []

    init(_ tokens: [Token]) { self.tokens = tokens }

    /// The statements of a whole template.
    mutating func parse() throws -> [Statement] {
        let body = try parseBody(until: [])
        guard current.isEnd else { throw fail("unexpected '\(current.description)'") }
        return body
    }

    // MARK: Stream

    var current: Token { tokens[index] }
    var following: Token { tokens[min(index + 1, tokens.count - 1)] }

    @discardableResult
    mutating func advance() -> Token {
        let token = tokens[index]
        if index + 1 < tokens.count { index += 1 }
        return token
    }

    mutating func skip(name: String) -> Bool {
        guard current.isName(name) else { return false }
        advance()
        return true
    }

    mutating func skip(_ op: Operator) -> Bool {
        guard current.isOperator(op) else { return false }
        advance()
        return true
    }

    mutating func expect(_ op: Operator) throws {
        guard skip(op) else { throw expected(op.rawValue) }
    }

    mutating func expect(name: String) throws {
        guard skip(name: name) else { throw expected(name) }
    }

    mutating func expectName() throws -> String {
        guard let name = current.name else { throw expected("name") }
        advance()
        return name
    }

    mutating func expectBlockEnd() throws {
        guard current.isBlockEnd else { throw expected("end of statement block") }
        advance()
    }

    func expected(_ what: String) -> TemplateError {
        if current.isEnd { return fail("unexpected end of template, expected '\(what)'.") }
        return fail("expected token '\(what)', got '\(current.description)'")
    }

    func fail(_ message: String, line: Int? = nil) -> TemplateError { .syntax(message, line: line ?? current.line) }

    // MARK: Names and scopes

    mutating func id(of name: String) -> Int {
        if let id = names[name] { return id }
        names[name] = names.count
        return names.count - 1
    }

    mutating func newScope() -> Int {
        scopeCount += 1
        return scopeCount - 1
    }
}
