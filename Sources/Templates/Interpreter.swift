#if canImport(Glibc)
import Glibc
#endif

/// Variables of one call of a function (the template itself, a macro, a recursive loop, a block).
final class Frame {
    var slots: [Value]
    /// The frame of the function this one was written in.
    let parent: Frame?

    init(slots: Int, parent: Frame?) {
        self.slots = Array(repeating: .missing, count: slots)
        self.parent = parent
    }
}

/// One rendering of a template. Not shared between threads; the template it runs is.
final class Interpreter {
    let template: CompiledTemplate
    let limits: TemplateLimits
    let clock: TemplateClock
    var output = ""
    var frame: Frame
    var scope: Scope
    let rootScope: Scope
    /// Values by name number: globals, the caller's variables over them, then what the template sets at its top level.
    var context: [Value]
    /// What a filter without operand is applied to: the text of the block around it.
    var captured = Value.missing
    private var stepsLeft: Int
    private var bytesLeft: Int
    private var callDepth = 0
    private let stackFloor: UInt
    /// Objects that may hold each other in a cycle; emptied when the rendering ends.
    private var frames: [Frame] = []
    private var namespaces: [Namespace] = []

    init(_ template: CompiledTemplate, limits: TemplateLimits, clock: TemplateClock) {
        self.template = template
        self.limits = limits
        self.clock = clock
        stepsLeft = limits.steps
        bytesLeft = limits.allocatedBytes
        rootScope = template.scopes[0]
        scope = rootScope
        frame = Frame(slots: template.slotCounts[rootScope.function], parent: nil)
        context = Array(repeating: .missing, count: template.names.count)
        let here = Self.stackAddress()
        stackFloor = here > UInt(limits.stackBytes) ? here - UInt(limits.stackBytes) : 0
    }

    func run() throws -> String {
        defer { breakCycles() }
        enter(rootScope)
        if let slot = rootScope.special.template { frame.slots[slot] = .selfReference }
        _ = try execute(template.body)
        return output
    }

    /// A closure in a slot holds the frame that holds it; a namespace may hold itself.
    private func breakCycles() {
        frame.slots = []
        for frame in frames { frame.slots = [] }
        for namespace in namespaces { namespace.storage = DictStorage() }
    }

    // MARK: Budgets

    /// Counts work before it is done.
    @inline(__always)
    func charge(_ steps: Int = 1) throws {
        stepsLeft -= steps
        if stepsLeft < 0 { throw TemplateError.limit("rendering takes more than \(limits.steps) steps") }
    }

    /// Counts a string of that many bytes before it is made.
    func allocate(_ bytes: Int) throws {
        if bytes > limits.outputBytes { throw TemplateError.limit("a text is longer than \(limits.outputBytes) bytes") }
        bytesLeft -= bytes
        if bytesLeft < 0 { throw TemplateError.limit("rendering makes more than \(limits.allocatedBytes) bytes of values") }
        try charge(bytes >> 6)
    }

    /// Counts a list before it is made.
    func allocate(elements count: Int) throws {
        guard count <= limits.outputBytes else { throw TemplateError.limit("a list is longer than \(limits.outputBytes) elements") }
        bytesLeft -= count * 32
        if bytesLeft < 0 { throw TemplateError.limit("rendering makes more than \(limits.allocatedBytes) bytes of values") }
        try charge(count >> 2)
    }

    @inline(__always)
    func checkStack() throws {
        if Self.stackAddress() < stackFloor { throw TemplateError.limit("the template is nested too deep") }
    }

    @inline(never)
    private static func stackAddress() -> UInt {
        var probe: UInt8 = 0
        return withUnsafeMutablePointer(to: &probe) { UInt(bitPattern: $0) }
    }

    func nested<T>(_ body: () throws -> T) throws -> T {
        callDepth += 1
        defer { callDepth -= 1 }
        guard callDepth <= limits.callDepth else { throw TemplateError.limit("calls are nested deeper than \(limits.callDepth)") }
        try checkStack()
        return try body()
    }

    // MARK: Making values

    func list(_ items: [Value]) throws -> Value { .list(try box(items)) }
    func tuple(_ items: [Value]) throws -> Value { .tuple(try box(items)) }

    func box(_ items: [Value], isGroup: Bool = false) throws -> ListBox {
        try allocate(elements: items.count)
        return ListBox(items, depth: try depth(around: items), isGroup: isGroup)
    }

    func dict(_ storage: DictStorage) throws -> Value {
        try allocate(elements: storage.count * 2)
        return .dict(DictBox(storage, depth: max(try depth(around: storage.values), try depth(around: storage.keys))))
    }

    /// The depth of a container of these, refused where too deep: values are walked, and freed, recursively.
    func depth(around items: [Value]) throws -> Int {
        var deepest = 0
        for item in items { deepest = max(deepest, item.depth) }
        return try deeper(deepest)
    }

    func deeper(_ depth: Int) throws -> Int {
        guard depth < TemplateLimits.valueDepth else { throw TemplateError.limit("values are nested deeper than \(TemplateLimits.valueDepth)") }
        return depth + 1
    }

    func string(_ text: String) throws -> Value {
        try allocate(text.utf8.count)
        return .string(text)
    }

    func integer(_ value: BigInt) throws -> Value {
        if let small = value.small { return .int(small) }
        guard value.bitCount <= limits.integerBits else { throw TemplateError.limit("an integer has more than \(limits.integerBits) bits") }
        try allocate(value.limbs.count * 4)
        return .big(value)
    }

    func generator(over depth: Int, _ produce: @escaping () throws -> Value?) throws -> Value {
        try charge(8)
        return .generator(Generator(depth: try deeper(depth), produce))
    }

    func namespace() throws -> Namespace {
        try allocate(128)
        let space = Namespace()
        namespaces.append(space)
        return space
    }

    /// Remembers a frame that a macro holds on to.
    func retain(_ frame: Frame) {
        if frames.last !== frame { frames.append(frame) }
    }

    // MARK: Scopes and names

    func enter(_ scope: Scope) {
        self.scope = scope
        for load in scope.loads {
            switch load {
            case .context(let name, let slot): frame.slots[slot] = context[name]
            case .copy(let reference, let slot): frame.slots[slot] = read(reference)
            case .clear(let slot): frame.slots[slot] = .missing
            }
        }
    }

    /// Empties the scope's slots and returns to `outer`.
    func leave(to outer: Scope) {
        for slot in scope.slots { frame.slots[slot] = .missing }
        scope = outer
    }

    func inScope<T>(_ number: Int, _ body: () throws -> T) throws -> T {
        let outer = scope
        enter(template.scopes[number])
        defer { leave(to: outer) }
        return try body()
    }

    /// Runs `body` with its output kept apart.
    func capturing(_ body: () throws -> Void) throws -> String {
        let before = output
        output = ""
        defer { output = before }
        try body()
        return output
    }

    func read(_ reference: Reference) -> Value {
        var frame = frame
        for _ in 0..<reference.hops { if let parent = frame.parent { frame = parent } }
        let slot = Int(reference.slot)
        // A frame whose rendering has ended is empty.
        return slot < frame.slots.count ? frame.slots[slot] : .missing
    }

    func value(ofName id: Int) -> Value {
        let reference = scope.references[id]
        let value = reference.slot < 0 ? context[id] : read(reference)
        if case .missing = value { return .undefined(Undefined("'\(template.names[id])' is undefined")) }
        return value
    }

    func store(_ value: Value, inName id: Int) {
        frame.slots[Int(scope.references[id].slot)] = value
        if scope === rootScope { context[id] = value }
    }
}
