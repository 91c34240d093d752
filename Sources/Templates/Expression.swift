/// A node of an expression.
final class Expression: Sendable {
    indirect enum Kind: Sendable {
        case constant(Constant)
        /// Number of the name in the template's table.
        case name(Int)
        case tuple([Expression])
        case list([Expression])
        case dict([(key: Expression, value: Expression)])
        case attribute(Expression, String)
        case item(Expression, Expression)
        case slice(Expression, start: Expression?, stop: Expression?, step: Expression?)
        case call(Expression, CallArguments)
        /// No operand inside a filter block, where it is the captured text. `function` is nil for an unknown name.
        case filter(Expression?, name: String, function: FilterFunction?, CallArguments)
        case test(Expression, name: String, function: FilterFunction?, CallArguments)
        case not(Expression)
        case negative(Expression)
        case positive(Expression)
        case binary(Operator, Expression, Expression)
        case and(Expression, Expression)
        case or(Expression, Expression)
        case compare(Expression, [(comparison: Comparison, operand: Expression)])
        case concatenation([Expression])
        case conditional(test: Expression, then: Expression, otherwise: Expression?)
    }

    let kind: Kind
    let line: Int
    /// Nodes down to the deepest leaf.
    private let depth: Int

    init(_ kind: Kind, line: Int) throws {
        self.kind = kind
        self.line = line
        var deepest = 0
        kind.forEachChild { deepest = max(deepest, $0.depth) }
        depth = deepest + 1
        guard depth <= TemplateLimits.expressionDepth else {
            throw TemplateError.syntax("the expression is nested deeper than \(TemplateLimits.expressionDepth)", line: line)
        }
    }
}

enum Comparison: Sendable { case equal, notEqual, less, lessEqual, greater, greaterEqual, isIn, notIn }

struct CallArguments: Sendable {
    var positional: [Expression] = []
    var keywords: [(name: String, value: Expression)] = []
    var list: Expression?
    var mapping: Expression?

    func forEachChild(_ visit: (Expression) -> Void) {
        positional.forEach(visit)
        keywords.forEach { visit($0.value) }
        if let list { visit(list) }
        if let mapping { visit(mapping) }
    }
}

extension Expression.Kind {
    /// The operands, in the order they are written.
    func forEachChild(_ visit: (Expression) -> Void) {
        switch self {
        case .constant, .name: break
        case .tuple(let items), .list(let items), .concatenation(let items): items.forEach(visit)
        case .dict(let pairs):
            for pair in pairs {
                visit(pair.key)
                visit(pair.value)
            }
        case .attribute(let base, _), .not(let base), .negative(let base), .positive(let base): visit(base)
        case .item(let base, let key): visit(base); visit(key)
        case .slice(let base, let start, let stop, let step):
            visit(base)
            for bound in [start, stop, step] { if let bound { visit(bound) } }
        case .call(let base, let arguments):
            visit(base)
            arguments.forEachChild(visit)
        case .filter(let base, _, _, let arguments):
            if let base { visit(base) }
            arguments.forEachChild(visit)
        case .test(let base, _, _, let arguments):
            visit(base)
            arguments.forEachChild(visit)
        case .binary(_, let left, let right), .and(let left, let right), .or(let left, let right): visit(left); visit(right)
        case .compare(let first, let rest):
            visit(first)
            rest.forEach { visit($0.operand) }
        case .conditional(let test, let then, let otherwise):
            visit(test)
            visit(then)
            if let otherwise { visit(otherwise) }
        }
    }
}
