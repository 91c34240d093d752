/// The elements of a value, one by one.
final class ValueIterator {
    private enum Source {
        case array([Value])
        case scalars([Unicode.Scalar])
        case range(RangeBox)
        case view(DictView)
        case generator(Generator)
    }
    private let source: Source
    private var index = 0

    init(_ items: [Value]) { source = .array(items) }
    init(_ text: String) { source = .scalars(Array(text.unicodeScalars)) }
    init(_ range: RangeBox) { source = .range(range) }
    init(_ view: DictView) { source = .view(view) }
    init(_ generator: Generator) { source = .generator(generator) }

    /// Elements in all; nil for a generator, which does not know.
    var count: Int? {
        switch source {
        case .array(let items): items.count
        case .scalars(let scalars): scalars.count
        case .range(let range): range.count
        case .view(let view): view.count
        case .generator: nil
        }
    }

    func next() throws -> Value? {
        if case .generator(let generator) = source { return try generator.next() }
        guard let count, index < count else { return nil }
        defer { index += 1 }
        switch source {
        case .array(let items): return items[index]
        case .scalars(let scalars): return .string(String(Character(scalars[index])))
        case .range(let range): return .int(range[index])
        case .view(let view): return view.item(index)
        case .generator: return nil
        }
    }
}

/// The `loop` variable. It may look one element ahead.
final class LoopContext {
    private var iterator: ValueIterator
    let depthOfValues: Int
    let depth0: Int
    /// For `loop(…)` in a recursive loop.
    let recursion: (loop: ForLoop, frame: Frame, scope: Scope)?
    private(set) var index0 = -1
    private var ahead: Value?
    private(set) var current: Value?
    private(set) var before: Value?
    private var knownLength: Int?
    private var lastChanged: Value?

    init(_ iterator: ValueIterator, depthOfValues: Int, depth0: Int, recursion: (loop: ForLoop, frame: Frame, scope: Scope)?) {
        self.iterator = iterator
        self.depthOfValues = depthOfValues
        self.depth0 = depth0
        self.recursion = recursion
        knownLength = iterator.count
    }

    func next() throws -> Value? {
        var item = ahead
        ahead = nil
        if item == nil { item = try iterator.next() }
        guard let item else { return nil }
        index0 += 1
        before = current
        current = item
        return item
    }

    func peek() throws -> Value? {
        if ahead == nil { ahead = try iterator.next() }
        return ahead
    }

    /// The number of elements; what does not know it is read to its end.
    func length(_ interpreter: Interpreter) throws -> Int {
        if let knownLength { return knownLength }
        var rest: [Value] = []
        while let item = try iterator.next() {
            try interpreter.charge()
            rest.append(item)
        }
        iterator = ValueIterator(rest)
        let length = rest.count + index0 + 1 + (ahead == nil ? 0 : 1)
        knownLength = length
        return length
    }

    /// Whether the arguments differ from those of the last call.
    func changed(_ values: Value, _ interpreter: Interpreter) throws -> Bool {
        if let lastChanged, try interpreter.areEqual(lastChanged, values) { return false }
        lastChanged = values
        return true
    }
}

extension Interpreter {
    /// The elements of a value; nil where Python could not iterate over it.
    func iterator(over value: Value) throws -> ValueIterator? {
        switch value {
        case .list(let box), .tuple(let box): return ValueIterator(box.items)
        case .string(let text), .markup(let text):
            try allocate(text.utf8.count)
            return ValueIterator(text)
        case .dict(let box): return ValueIterator(box.keys)
        case .range(let range): return ValueIterator(range)
        case .view(let view): return ValueIterator(view)
        case .generator(let generator): return ValueIterator(generator)
        case .undefined: return ValueIterator([])
        default: return nil
        }
    }

    /// All elements of a value.
    func elements(of value: Value) throws -> [Value] {
        switch value {
        case .list(let box), .tuple(let box): return box.items
        case .dict(let box): return box.keys
        default: break
        }
        let iterator = try iterate(value)
        var items: [Value] = []
        while let item = try iterator.next() {
            try charge()
            items.append(item)
        }
        return items
    }

    func iterate(_ value: Value) throws -> ValueIterator {
        guard let iterator = try iterator(over: value) else { throw TemplateError.runtime("'\(value.typeName)' object is not iterable") }
        return iterator
    }

    func execute(_ loop: ForLoop) throws {
        let sequence = try evaluateTop(loop.sequence)
        do {
            if loop.isRecursive {
                try write(try renderRecursive(loop, over: sequence, depth0: 0, frame: frame, scope: scope))
            } else {
                try run(loop, over: sequence, depth0: 0, recursion: nil)
            }
        } catch var error as TemplateError where error.line == nil {
            error.line = loop.line
            throw error
        }
    }

    /// One level of a recursive loop, in a frame of its own.
    func renderRecursive(_ loop: ForLoop, over sequence: Value, depth0: Int, frame outer: Frame, scope outerScope: Scope) throws -> String {
        try nested {
            let (callerFrame, callerScope) = (frame, scope)
            frame = Frame(slots: template.slotCounts[template.scopes[loop.scope].function], parent: outer)
            scope = outerScope
            retain(frame)
            defer { (frame, scope) = (callerFrame, callerScope) }
            return try capturing {
                try run(loop, over: sequence, depth0: depth0, recursion: (loop, outer, outerScope))
            }
        }
    }

    private func run(_ loop: ForLoop, over sequence: Value, depth0: Int, recursion: (loop: ForLoop, frame: Frame, scope: Scope)?) throws {
        var source = try iterate(sequence)
        if let test = loop.test { source = try filtered(source, loop, test, depth: sequence.depth) }
        let outer = scope, body = template.scopes[loop.scope]
        let context = LoopContext(source, depthOfValues: try deeper(sequence.depth), depth0: depth0, recursion: recursion)
        var isUnfinished = true
        defer { if scope !== outer { leave(to: outer) } }
        while let item = try body.special.loop == nil ? source.next() : context.next() {
            try charge()
            enter(body)
            if let slot = body.special.loop { frame.slots[slot] = .loop(context) }
            try assign(item, to: loop.target)
            let flow = try execute(loop.body)
            // As in Jinja, an iteration cut short does not count against the else branch.
            if flow == .normal { isUnfinished = false }
            if flow == .breaks { break }
        }
        if scope !== outer { leave(to: outer) }
        if isUnfinished, !loop.otherwise.isEmpty { try inScope(loop.otherwiseScope) { _ = try execute(loop.otherwise) } }
    }

    /// The elements a loop's `if` lets through, tested when they are asked for.
    private func filtered(_ source: ValueIterator, _ loop: ForLoop, _ test: Expression, depth: Int) throws -> ValueIterator {
        let home = frame
        let outer = scope
        let generator = Generator(depth: try deeper(depth)) { [unowned self] in
            while let item = try source.next() {
                try charge()
                let (callerFrame, callerScope) = (frame, scope)
                (frame, scope) = (home, outer)
                defer { (frame, scope) = (callerFrame, callerScope) }
                enter(template.scopes[loop.testScope])
                try assign(item, to: loop.target)
                let (isTaken, value) = (try isTrue(evaluateTop(test)), try rebuilt(loop.target, item))
                leave(to: outer)
                if isTaken { return value }
            }
            return nil
        }
        return ValueIterator(generator)
    }

    /// The element as the target names it: `for k, v in …` makes a tuple of it.
    private func rebuilt(_ target: Target, _ item: Value) throws -> Value {
        guard case .tuple(let parts) = target else { return item }
        return try tuple(try parts.map { part in
            if case .name(let id, _) = part { return value(ofName: id) }
            return try rebuilt(part, .none)
        })
    }
}
