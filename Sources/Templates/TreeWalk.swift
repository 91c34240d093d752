/// Visits every statement and expression of a tree.
enum TreeWalk {
    static func statements(_ body: [Statement], _ visit: (Statement) -> Void) {
        for statement in body {
            visit(statement)
            for inner in bodies(of: statement) { statements(inner, visit) }
        }
    }

    static func bodies(of statement: Statement) -> [[Statement]] {
        switch statement {
        case .text, .output, .set, .breakLoop, .continueLoop, .unsupported: []
        case .ifElse(let branches, let otherwise): branches.map(\.body) + [otherwise]
        case .forLoop(let loop): [loop.body, loop.otherwise]
        case .setBlock(_, _, let body, _), .filterBlock(_, let body, _), .with(_, let body, _), .scoped(let body, _): [body]
        case .macro(let macro), .callBlock(_, let macro): [macro.body]
        case .block(let block): [block.body]
        }
    }

    static func expressions(of statement: Statement) -> [Expression] {
        switch statement {
        case .text, .scoped, .block, .breakLoop, .continueLoop, .unsupported: []
        case .output(let expression), .set(_, let expression), .filterBlock(let expression, _, _): [expression]
        case .ifElse(let branches, _): branches.map(\.test)
        case .forLoop(let loop): [loop.sequence] + [loop.test].compactMap { $0 }
        case .setBlock(_, let filter, _, _): [filter].compactMap { $0 }
        case .macro(let macro): macro.defaults
        case .callBlock(let call, let macro): [call] + macro.defaults
        case .with(let pairs, _, _): pairs.map(\.value)
        }
    }

    /// Every expression, inner ones too.
    static func expressions(_ body: [Statement], _ visit: (Expression) -> Void) {
        func walk(_ expression: Expression) {
            visit(expression)
            expression.kind.forEachChild(walk)
        }
        statements(body) { expressions(of: $0).forEach(walk) }
    }
}
