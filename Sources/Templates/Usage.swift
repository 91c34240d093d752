/// Questions about a tree: which names it takes from outside, which filters it needs.
enum Usage {
    /// Those of `names` that are read before they are set, in the order Jinja visits its tree. Blocks are not looked into.
    static func undeclared(_ names: Set<Int>, in body: [Statement]) -> Set<Int> {
        var walk = Undeclared(names: names)
        walk.visit(body)
        return walk.found
    }

    /// Whether the loop's body can see the `loop` variable.
    static func needsLoop(_ loop: ForLoop, _ loopID: Int) -> Bool {
        loop.isRecursive || !undeclared([loopID], in: loop.body).isEmpty
    }

    private struct Undeclared {
        var names: Set<Int>
        var found: Set<Int> = []

        mutating func visit(_ body: [Statement]) { for statement in body where !names.isEmpty { visit(statement) } }

        mutating func visit(_ expression: Expression) {
            if case .name(let id) = expression.kind, names.contains(id) { found.insert(id) }
            var children: [Expression] = []
            expression.kind.forEachChild { children.append($0) }
            for child in children { visit(child) }
        }

        mutating func visit(_ target: Target) {
            target.forEach { if case .name(let id, _) = $0 { names.remove(id) } }
        }

        mutating func visit(_ macro: MacroDefinition) {
            for parameter in macro.parameters { names.remove(parameter.id) }
            macro.defaults.forEach { visit($0) }
            visit(macro.body)
        }

        mutating func visit(_ statement: Statement) {
            switch statement {
            case .text, .block, .breakLoop, .continueLoop, .unsupported: break
            case .output(let expression): visit(expression)
            case .ifElse(let branches, let otherwise):
                for branch in branches {
                    visit(branch.test)
                    visit(branch.body)
                }
                visit(otherwise)
            case .forLoop(let loop):
                visit(loop.target)
                visit(loop.sequence)
                visit(loop.body)
                visit(loop.otherwise)
                if let test = loop.test { visit(test) }
            case .set(let target, let value):
                visit(target)
                visit(value)
            case .setBlock(let target, let filter, let body, _):
                visit(target)
                if let filter { visit(filter) }
                visit(body)
            case .macro(let macro): visit(macro)
            case .callBlock(let call, let macro):
                visit(call)
                visit(macro)
            case .filterBlock(let filter, let body, _):
                visit(body)
                visit(filter)
            case .with(let pairs, let body, _):
                pairs.forEach { visit($0.target) }
                pairs.forEach { visit($0.value) }
                visit(body)
            case .scoped(let body, _): visit(body)
            }
        }
    }

    /// Refuses unknown filters and tests outside of conditions.
    static func checkFilters(_ expression: Expression, isSoft: Bool) throws {
        if isSoft { return }
        switch expression.kind {
        case .filter(_, let name, nil, _): throw TemplateError.syntax("No filter named '\(name)'.", line: expression.line)
        case .test(_, let name, nil, _): throw TemplateError.syntax("No test named '\(name)'.", line: expression.line)
        case .conditional: return
        default:
            var children: [Expression] = []
            expression.kind.forEachChild { children.append($0) }
            for child in children { try checkFilters(child, isSoft: false) }
        }
    }
}
