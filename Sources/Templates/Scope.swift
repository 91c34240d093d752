/// A variable's place: how many functions out, and the slot there.
struct Reference: Sendable {
    let hops: Int32
    let slot: Int32
    static let none = Reference(hops: 0, slot: -1)
}

/// What a body of statements knows about names: Jinja decides that before rendering (`idtracking.py`), and templates can tell. A loop
/// body, for example, sees a variable that is set only later in the template as undefined, whatever the context holds.
final class Scope: Sendable {
    enum Load: Sendable {
        /// Take the context's value.
        case context(name: Int, slot: Int)
        /// Start with the value of the variable of that name further out.
        case copy(Reference, slot: Int)
        case clear(slot: Int)
    }

    /// By name number.
    let references: [Reference]
    /// Run when the body is entered.
    let loads: [Load]
    /// Slots of this scope, emptied when it is left.
    let slots: [Int]
    /// The function (root, macro, recursive loop, block) whose frame holds the slots.
    let function: Int
    /// Slots of variables the language itself provides here.
    let special: Special

    struct Special: Sendable {
        var loop: Int?, caller: Int?, keywords: Int?, positional: Int?, template: Int?, parent: Int?
    }

    init(references: [Reference], loads: [Load], slots: [Int], function: Int, special: Special) {
        self.references = references
        self.loads = loads
        self.slots = slots
        self.function = function
        self.special = special
    }
}

/// Names of one scope while it is being analysed.
struct Symbols {
    enum Origin {
        case parameter
        case context(Int)
        case outer(Int)
        case undefined
    }

    /// Identities given out in a scope. Branches of an `if` share it: they are one scope.
    final class Identities { var byName: [Int: Int] = [:] }

    let function: Int
    let identities = Identities()
    /// References of the enclosing scopes, flattened.
    let outer: [Int: Int]
    var references: [Int: Int] = [:]
    var origins: [Int: Origin] = [:]
    var stores: Set<Int> = []

    init(function: Int, outer: [Int: Int]) {
        self.function = function
        self.outer = outer
    }

    func find(_ name: Int) -> Int? { references[name] ?? outer[name] }

    /// Everything visible from inside.
    var visible: [Int: Int] { outer.merging(references) { $1 } }
}

/// Gives every name of a template its place.
struct ScopeAnalysis {
    private var scopes: [Scope?]
    /// Function and slot of each variable.
    private var identities: [(function: Int, slot: Int)] = []
    /// Slots and nesting of each function.
    private(set) var functions: [(slots: Int, depth: Int)] = []
    /// Entries copied for branches: what makes a hostile template slow to analyse.
    private var work = 0
    private static let maxWork = 20_000_000
    private let nameCount: Int
    private let names: [String: Int]

    struct Result {
        let scopes: [Scope]
        let slotCounts: [Int]
    }

    static func run(_ body: [Statement], names: [String: Int], scopeCount: Int) throws -> Result {
        guard scopeCount * names.count <= 4_000_000 else { throw TemplateError.limit("the template has too many variables and blocks") }
        var analysis = ScopeAnalysis(names: names, scopeCount: scopeCount)
        try analysis.bindRoot(body, scope: 0)
        guard analysis.work < Self.maxWork else { throw TemplateError.limit("the template has too many variables and branches") }
        let empty = Scope(references: [], loads: [], slots: [], function: 0, special: .init())
        return Result(scopes: analysis.scopes.map { $0 ?? empty }, slotCounts: analysis.functions.map(\.slots))
    }

    private init(names: [String: Int], scopeCount: Int) {
        self.names = names
        nameCount = names.count
        scopes = Array(repeating: nil, count: scopeCount)
    }

    // MARK: Symbols

    private mutating func define(_ name: Int, _ origin: Symbols.Origin?, in symbols: inout Symbols) {
        let identity: Int
        if let known = symbols.identities.byName[name] {
            identity = known
        } else {
            identity = identities.count
            identities.append((symbols.function, functions[symbols.function].slots))
            functions[symbols.function].slots += 1
            symbols.identities.byName[name] = identity
        }
        symbols.references[name] = identity
        if let origin { symbols.origins[identity] = origin }
    }

    private mutating func load(_ name: Int, in symbols: inout Symbols) {
        if symbols.find(name) == nil { define(name, .context(name), in: &symbols) }
    }

    private mutating func store(_ name: Int, in symbols: inout Symbols) {
        symbols.stores.insert(name)
        guard symbols.references[name] == nil else { return }
        define(name, symbols.outer[name].map { .outer($0) } ?? .undefined, in: &symbols)
    }

    private mutating func declare(_ name: Int, in symbols: inout Symbols) {
        symbols.stores.insert(name)
        define(name, .parameter, in: &symbols)
    }

    private mutating func load(_ expression: Expression, in symbols: inout Symbols) {
        if case .name(let id) = expression.kind { load(id, in: &symbols) }
        var children: [Expression] = []
        expression.kind.forEachChild { children.append($0) }
        for child in children { load(child, in: &symbols) }
    }

    private mutating func visit(_ target: Target, in symbols: inout Symbols, asParameter: Bool = false) {
        switch target {
        case .name(let id, _): asParameter ? declare(id, in: &symbols) : store(id, in: &symbols)
        case .namespace(let id, _, _): load(id, in: &symbols)
        case .tuple(let parts): for part in parts { visit(part, in: &symbols, asParameter: asParameter) }
        }
    }

    private mutating func visit(_ body: [Statement], in symbols: inout Symbols) {
        for statement in body { visit(statement, in: &symbols) }
    }

    /// What a statement means for the names of the scope it stands in. Bodies with a scope of their own are left out.
    private mutating func visit(_ statement: Statement, in symbols: inout Symbols) {
        switch statement {
        case .output(let expression): load(expression, in: &symbols)
        case .ifElse(let branches, let otherwise): visitIf(branches[...], otherwise, in: &symbols)
        case .forLoop(let loop): load(loop.sequence, in: &symbols)
        case .set(let target, let value):
            load(value, in: &symbols)
            visit(target, in: &symbols)
        case .setBlock(let target, let filter, _, _):
            visit(target, in: &symbols)
            if let filter { load(filter, in: &symbols) }
        case .macro(let macro): store(macro.nameID, in: &symbols)
        case .callBlock(let call, _): load(call, in: &symbols)
        case .filterBlock(let filter, _, _): load(filter, in: &symbols)
        case .with(let pairs, _, _): for pair in pairs { load(pair.value, in: &symbols) }
        case .text, .scoped, .block, .breakLoop, .continueLoop, .unsupported: break
        }
    }

    private mutating func visitIf(
        _ branches: ArraySlice<(test: Expression, body: [Statement])>, _ otherwise: [Statement], in symbols: inout Symbols
    ) {
        work += symbols.references.count + 1
        guard let first = branches.first, work < Self.maxWork else { return }
        load(first.test, in: &symbols)
        var body = symbols, others = symbols, last = symbols
        visit(first.body, in: &body)
        for branch in branches.dropFirst() { visitIf([branch], [], in: &others) }
        visit(otherwise, in: &last)
        // A name stored in some branch and not before: what it is when the branch is not taken.
        let fresh = body.stores.union(others.stores).union(last.stores).subtracting(symbols.stores)
        for branch in [body, others, last] {
            symbols.references.merge(branch.references) { $1 }
            symbols.origins.merge(branch.origins) { $1 }
            symbols.stores.formUnion(branch.stores)
        }
        for name in fresh {
            guard let identity = symbols.find(name) else { continue }
            symbols.origins[identity] = symbols.outer[name].map { .outer($0) } ?? .context(name)
        }
    }

    // MARK: Scopes

    private mutating func newFunction(inside outer: Int?) -> Int {
        functions.append((0, outer.map { functions[$0].depth + 1 } ?? 0))
        return functions.count - 1
    }

    private mutating func finish(_ scope: Int, _ symbols: Symbols, special: [String] = []) {
        let depth = functions[symbols.function].depth
        func reference(_ identity: Int) -> Reference {
            let place = identities[identity]
            return Reference(hops: Int32(depth - functions[place.function].depth), slot: Int32(place.slot))
        }
        var references = [Reference](repeating: .none, count: nameCount)
        for (name, identity) in symbols.visible { references[name] = reference(identity) }
        var loads: [Scope.Load] = []
        for (identity, origin) in symbols.origins.sorted(by: { $0.key < $1.key }) {
            let slot = identities[identity].slot
            switch origin {
            case .parameter: break
            case .context(let name): loads.append(.context(name: name, slot: slot))
            case .outer(let other): loads.append(.copy(reference(other), slot: slot))
            case .undefined: loads.append(.clear(slot: slot))
            }
        }
        let slots = symbols.references.values.map { identities[$0].slot }.sorted()
        func slot(_ name: String) -> Int? {
            guard special.contains(name), let id = names[name], let identity = symbols.references[id] else { return nil }
            return identities[identity].slot
        }
        scopes[scope] = Scope(
            references: references, loads: loads, slots: slots, function: symbols.function,
            special: Scope.Special(
                loop: slot("loop"), caller: slot("caller"), keywords: slot("kwargs"), positional: slot("varargs"), template: slot("self"),
                parent: slot("super")))
    }

    private mutating func bindRoot(_ body: [Statement], scope: Int, isBlock: Bool = false) throws {
        var symbols = Symbols(function: newFunction(inside: nil), outer: [:])
        let candidates = Set((isBlock ? ["self", "super"] : ["self"]).compactMap { names[$0] })
        let used = Usage.undeclared(candidates, in: body)
        for id in used.sorted() { declare(id, in: &symbols) }
        visit(body, in: &symbols)
        finish(scope, symbols, special: ["self", "super"].filter { names[$0].map(used.contains) ?? false })
        try bind(body, symbols)
    }

    /// Gives the bodies inside these statements their scopes, and refuses unknown filters and tests. Inside an `if` those are an error
    /// only when they are reached.
    private mutating func bind(_ body: [Statement], _ symbols: Symbols, isSoft: Bool = false) throws {
        for statement in body { try bind(statement, symbols, isSoft: isSoft) }
    }

    private mutating func bind(_ statement: Statement, _ symbols: Symbols, isSoft: Bool) throws {
        switch statement {
        case .text, .breakLoop, .continueLoop, .unsupported: break
        case .output(let expression): try Usage.checkFilters(expression, isSoft: isSoft)
        case .set(_, let value): try Usage.checkFilters(value, isSoft: isSoft)
        case .ifElse(let branches, let otherwise):
            for branch in branches { try bind(branch.body, symbols, isSoft: true) }
            try bind(otherwise, symbols, isSoft: true)
        case .forLoop(let loop): try bind(loop, symbols, isSoft: isSoft)
        case .macro(let macro): try bind(macro, symbols)
        case .callBlock(let call, let macro):
            try Usage.checkFilters(call, isSoft: isSoft)
            try bind(macro, symbols)
        case .setBlock(_, let filter, let body, let scope):
            if let filter { try Usage.checkFilters(filter, isSoft: false) }
            try bindInner(body, scope, symbols)
        case .filterBlock(let filter, let body, let scope):
            try Usage.checkFilters(filter, isSoft: false)
            try bindInner(body, scope, symbols) { $0.load(filter, in: &$1) }
        case .scoped(let body, let scope): try bindInner(body, scope, symbols)
        case .with(let pairs, let body, let scope):
            for pair in pairs { try Usage.checkFilters(pair.value, isSoft: isSoft) }
            try bindInner(body, scope, symbols) { analysis, inner in
                for pair in pairs { analysis.visit(pair.target, in: &inner, asParameter: true) }
            }
        case .block(let block): try bindRoot(block.body, scope: block.scope, isBlock: true)
        }
    }

    private mutating func bindInner(
        _ body: [Statement], _ scope: Int, _ symbols: Symbols, function: Int? = nil,
        special: [String] = [], prepare: (inout ScopeAnalysis, inout Symbols) -> Void = { _, _ in }
    ) throws {
        var inner = Symbols(function: function ?? symbols.function, outer: symbols.visible)
        prepare(&self, &inner)
        visit(body, in: &inner)
        finish(scope, inner, special: special)
        try bind(body, inner)
    }

    private mutating func bind(_ loop: ForLoop, _ symbols: Symbols, isSoft: Bool) throws {
        try Usage.checkFilters(loop.sequence, isSoft: isSoft)
        let function = loop.isRecursive ? newFunction(inside: symbols.function) : symbols.function
        let loopID = names["loop"].flatMap { Usage.needsLoop(loop, $0) ? $0 : nil }
        try bindInner(loop.body, loop.scope, symbols, function: function, special: loopID == nil ? [] : ["loop"]) { analysis, inner in
            if let loopID { analysis.declare(loopID, in: &inner) }
            analysis.visit(loop.target, in: &inner, asParameter: true)
        }
        if let test = loop.test {
            try Usage.checkFilters(test, isSoft: false)
            try bindInner([], loop.testScope, symbols, function: function) { analysis, inner in
                analysis.visit(loop.target, in: &inner, asParameter: true)
                analysis.load(test, in: &inner)
            }
        }
        if !loop.otherwise.isEmpty { try bindInner(loop.otherwise, loop.otherwiseScope, symbols, function: function) }
    }

    private mutating func bind(_ macro: MacroDefinition, _ symbols: Symbols) throws {
        for value in macro.defaults { try Usage.checkFilters(value, isSoft: false) }
        let candidates = Set(["caller", "kwargs", "varargs"].compactMap { names[$0] })
        let used = Usage.undeclared(candidates, in: macro.body)
        if let id = names["caller"], used.contains(id), let place = macro.parameters.firstIndex(where: { $0.id == id }),
            place < macro.parameters.count - macro.defaults.count
        {
            throw TemplateError.syntax(
                "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a default.", line: macro.line)
        }
        var inner = Symbols(function: newFunction(inside: symbols.function), outer: symbols.visible)
        for parameter in macro.parameters { declare(parameter.id, in: &inner) }
        for value in macro.defaults { load(value, in: &inner) }
        visit(macro.body, in: &inner)
        var special: [String] = []
        for name in ["caller", "kwargs", "varargs"] {
            guard let id = names[name], used.contains(id), !macro.parameters.contains(where: { $0.id == id }) else { continue }
            declare(id, in: &inner)
            special.append(name)
        }
        finish(macro.scope, inner, special: special)
        try bind(macro.body, inner)
    }
}
