import JSON

/// A value of the template language, with Python's types. Lists and dictionaries never change: the sandbox has no mutating method.
enum Value {
    /// A slot nothing was stored in; never the result of an expression.
    case missing
    case undefined(Undefined)
    case none
    case bool(Bool)
    case int(Int)
    /// Only for integers that do not fit `int`.
    case big(BigInt)
    case float(Double)
    case string(String)
    /// Text that is marked as safe HTML; concatenation with it escapes the other side.
    case markup(String)
    case list(ListBox)
    case tuple(ListBox)
    case dict(DictBox)
    case range(RangeBox)
    case view(DictView)
    case generator(Generator)
    case namespace(Namespace)
    case loop(LoopContext)
    case macro(Macro)
    case function(Function)
    case method(BoundMethod)
    case cycler(Cycler)
    case joiner(Joiner)
    case selfReference
}

/// Why a value is undefined; said when somebody uses it.
final class Undefined: Sendable {
    let message: String

    init(_ message: String) { self.message = message }

    var error: TemplateError { .runtime(message) }
}

/// Elements of a list or a tuple.
final class ListBox {
    let items: [Value]
    let depth: Int
    /// A `groupby` pair, whose parts are also called `grouper` and `list`.
    let isGroup: Bool

    init(_ items: [Value], depth: Int, isGroup: Bool = false) {
        self.items = items
        self.depth = depth
        self.isGroup = isGroup
    }
}

/// `range(start, stop, step)`; at most `TemplateLimits.rangeItems` items.
final class RangeBox {
    let start: Int, stop: Int, step: Int, count: Int

    init(start: Int, stop: Int, step: Int, count: Int) {
        self.start = start
        self.stop = stop
        self.step = step
        self.count = count
    }

    subscript(index: Int) -> Int { start &+ index &* step }
}

final class DictView {
    enum Kind: String { case keys, values, items }
    let kind: Kind
    let dict: DictBox

    init(_ kind: Kind, _ dict: DictBox) {
        self.kind = kind
        self.dict = dict
    }

    var count: Int { dict.keys.count }

    func item(_ index: Int) -> Value {
        switch kind {
        case .keys: dict.keys[index]
        case .values: dict.values[index]
        case .items: .tuple(ListBox([dict.keys[index], dict.values[index]], depth: dict.depth + 1))
        }
    }
}

/// An iterator: its elements come once, when asked for.
final class Generator {
    let depth: Int
    /// Python's name of the type, for messages.
    let typeName: String
    private var produce: (() throws -> Value?)?

    init(depth: Int, typeName: String = "generator", _ produce: @escaping () throws -> Value?) {
        self.depth = depth
        self.typeName = typeName
        self.produce = produce
    }

    func next() throws -> Value? {
        guard let produce else { return nil }
        do {
            if let value = try produce() { return value }
        } catch {
            self.produce = nil
            throw error
        }
        self.produce = nil
        return nil
    }
}

/// `namespace(…)`: the one thing a template can change from inside a loop.
final class Namespace {
    var storage = DictStorage()
}

final class Cycler {
    let items: [Value]
    let depth: Int
    var position = 0

    init(_ items: [Value], depth: Int) {
        self.items = items
        self.depth = depth
    }
}

final class Joiner {
    let separator: Value
    var used = false

    init(_ separator: Value) { self.separator = separator }
}

/// A method taken off a value but not called yet.
final class BoundMethod {
    let receiver: Value
    let name: String

    init(_ receiver: Value, _ name: String) {
        self.receiver = receiver
        self.name = name
    }
}

/// A global function.
final class Function: Sendable {
    let name: String
    let body: @Sendable (Interpreter, Arguments) throws -> Value

    init(_ name: String, _ body: @escaping @Sendable (Interpreter, Arguments) throws -> Value) {
        self.name = name
        self.body = body
    }
}

extension Value {
    /// Python's name of the type, for messages.
    var typeName: String {
        switch self {
        case .missing, .undefined: "Undefined"
        case .none: "NoneType"
        case .bool: "bool"
        case .int, .big: "int"
        case .float: "float"
        case .string: "str"
        case .markup: "Markup"
        case .list: "list"
        case .tuple: "tuple"
        case .dict: "dict"
        case .range: "range"
        case .view(let view): "dict_\(view.kind.rawValue)"
        case .generator(let generator): generator.typeName
        case .namespace: "Namespace"
        case .loop: "LoopContext"
        case .macro: "Macro"
        case .function: "function"
        case .method: "builtin_function_or_method"
        case .cycler: "Cycler"
        case .joiner: "Joiner"
        case .selfReference: "TemplateReference"
        }
    }

    /// How messages name the value as the owner of an attribute.
    var ownerName: String {
        switch self {
        case .none: "None"
        case .loop, .macro, .namespace, .cycler, .joiner: "jinja2 \(typeName) object"
        default: "\(typeName) object"
        }
    }

    /// Containers inside each other below this value, itself included.
    var depth: Int {
        switch self {
        case .list(let box), .tuple(let box): box.depth
        case .dict(let box): box.depth
        case .view(let view): view.dict.depth + 1
        case .generator(let generator): generator.depth
        case .loop(let loop): loop.depthOfValues
        case .method(let method): method.receiver.depth + 1
        case .cycler(let cycler): cycler.depth
        case .joiner(let joiner): joiner.separator.depth + 1
        default: 0
        }
    }

    /// The text of a string, marked or not.
    var text: String? {
        switch self {
        case .string(let text), .markup(let text): text
        default: nil
        }
    }

    var isUndefined: Bool {
        switch self {
        case .undefined, .missing: true
        default: false
        }
    }

    var isNone: Bool { if case .none = self { true } else { false } }
}
