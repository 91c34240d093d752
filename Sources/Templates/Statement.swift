/// Where a value is stored.
indirect enum Target: Sendable {
    case name(Int, line: Int)
    /// `{% set space.attribute = … %}`
    case namespace(Int, attribute: String, line: Int)
    case tuple([Target])

    func forEach(_ visit: (Target) -> Void) {
        if case .tuple(let parts) = self { parts.forEach { $0.forEach(visit) } } else { visit(self) }
    }
}

/// A statement. Bodies with variables of their own carry the number of their scope.
indirect enum Statement: Sendable {
    case text(String)
    case output(Expression)
    case ifElse([(test: Expression, body: [Statement])], otherwise: [Statement])
    case forLoop(ForLoop)
    case set(Target, Expression)
    case setBlock(Target, filter: Expression?, body: [Statement], scope: Int)
    case macro(MacroDefinition)
    case callBlock(Expression, MacroDefinition)
    case filterBlock(Expression, body: [Statement], scope: Int)
    case with([(target: Target, value: Expression)], body: [Statement], scope: Int)
    /// A body with a scope and nothing else: `generation`, `autoescape`.
    case scoped([Statement], scope: Int)
    case block(BlockDefinition)
    case breakLoop
    case continueLoop
    /// A tag that needs other templates; it fails when it is reached.
    case unsupported(String, line: Int)
}

final class ForLoop: Sendable {
    let target: Target
    let sequence: Expression
    let test: Expression?
    let isRecursive: Bool
    let body: [Statement]
    let otherwise: [Statement]
    let scope: Int, testScope: Int, otherwiseScope: Int
    let line: Int

    init(
        target: Target, sequence: Expression, test: Expression?, isRecursive: Bool, body: [Statement], otherwise: [Statement], scope: Int,
        testScope: Int, otherwiseScope: Int, line: Int
    ) {
        self.target = target
        self.sequence = sequence
        self.test = test
        self.isRecursive = isRecursive
        self.body = body
        self.otherwise = otherwise
        self.scope = scope
        self.testScope = testScope
        self.otherwiseScope = otherwiseScope
        self.line = line
    }
}

/// A macro, or the body of a call block, which is a macro without a name.
final class MacroDefinition: Sendable {
    let name: String?
    let nameID: Int
    let parameters: [(name: String, id: Int)]
    /// Defaults of the last parameters.
    let defaults: [Expression]
    let body: [Statement]
    let scope: Int
    let line: Int

    init(name: String?, nameID: Int, parameters: [(name: String, id: Int)], defaults: [Expression], body: [Statement], scope: Int, line: Int) {
        self.name = name
        self.nameID = nameID
        self.parameters = parameters
        self.defaults = defaults
        self.body = body
        self.scope = scope
        self.line = line
    }
}

final class BlockDefinition: Sendable {
    let name: String
    let isScoped: Bool, isRequired: Bool
    let body: [Statement]
    let scope: Int
    let line: Int

    init(name: String, isScoped: Bool, isRequired: Bool, body: [Statement], scope: Int, line: Int) {
        self.name = name
        self.isScoped = isScoped
        self.isRequired = isRequired
        self.body = body
        self.scope = scope
        self.line = line
    }
}
