package import JSON

/// A parsed template with every name in its place. Immutable: any number of threads may render it at once.
final class CompiledTemplate: Sendable {
    let body: [Statement]
    /// Variable names by number.
    let names: [String]
    let scopes: [Scope]
    /// Slots a frame needs, by function.
    let slotCounts: [Int]
    let blocks: [String: BlockDefinition]

    init(_ source: String) throws {
        var parser = Parser(try Lexer.tokenize(source))
        body = try parser.parse()
        let analysis = try ScopeAnalysis.run(body, names: parser.names, scopeCount: parser.scopeCount)
        scopes = analysis.scopes
        slotCounts = analysis.slotCounts
        var names = [String](repeating: "", count: parser.names.count)
        for (name, id) in parser.names { names[id] = name }
        self.names = names
        var blocks: [String: BlockDefinition] = [:]
        TreeWalk.statements(body) { if case .block(let block) = $0 { blocks[block.name] = block } }
        self.blocks = blocks
    }
}

/// A Jinja template as transformers runs chat templates: Jinja 3.1's sandbox, `trim_blocks`, `lstrip_blocks`, loop controls, the
/// `generation` tag, `raise_exception`, `strftime_now`, and a `tojson` that leaves everything but JSON's own characters alone.
package struct Template: Sendable {
    let compiled: CompiledTemplate

    package init(_ source: String) throws(TemplateError) {
        do {
            compiled = try CompiledTemplate(source)
        } catch let error as TemplateError {
            throw error
        } catch {
            throw TemplateError(.syntax, "\(error)")
        }
    }

    /// - Parameter context: the template's variables; they win over the built-in functions.
    package func render(
        context: JSONObject, clock: TemplateClock = .system, limits: TemplateLimits = TemplateLimits()
    ) throws(TemplateError) -> String {
        let interpreter = Interpreter(compiled, limits: limits, clock: clock)
        do {
            // Only what the template names is converted.
            for (id, name) in compiled.names.enumerated() {
                if let value = context[name] {
                    interpreter.context[id] = try interpreter.value(value)
                } else if let function = Globals.table[name] {
                    interpreter.context[id] = .function(function)
                }
            }
            return try interpreter.run()
        } catch let error as TemplateError {
            throw error
        } catch {
            throw TemplateError(.runtime, "\(error)")
        }
    }
}

extension Interpreter {
    /// A JSON value as the template sees it.
    fileprivate func value(_ json: JSONValue, depth: Int = 0) throws -> Value {
        guard depth < TemplateLimits.valueDepth else { throw TemplateError.limit("the request is nested deeper than \(TemplateLimits.valueDepth)") }
        switch json {
        case .null: return .none
        case .bool(let flag): return .bool(flag)
        case .int(let number): return .int(number)
        case .double(let number): return .float(number)
        case .string(let text): return .string(text)
        case .bigInt(let digits):
            let isNegative = digits.hasPrefix("-")
            let bare = digits.utf8.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
            guard bare.count <= TemplateLimits.integerDigits, let number = BigInt(digits: bare) else {
                throw TemplateError.limit("an integer has more than \(TemplateLimits.integerDigits) digits")
            }
            return try integer(isNegative ? number.negated : number)
        case .array(let elements): return try list(elements.map { try value($0, depth: depth + 1) })
        case .object(let object):
            var storage = DictStorage(capacity: object.count)
            for member in object.members { try storage.set(.string(member.key), value(member.value, depth: depth + 1)) }
            return try dict(storage)
        }
    }
}
