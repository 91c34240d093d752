/// What an environment variable of Runpod's vLLM worker means here.
struct EngineVariable: Sendable {
    enum Meaning: Sendable {
        /// Sets an option of this program's engine.
        case option(String, VariableValue)
        /// Read by the worker itself, by name.
        case setting(VariableValue)
        /// Known, and without effect here; results do not depend on it.
        case inapplicable(String)
        /// Would change results and is not supported: only values that ask for nothing are taken.
        case unsupported(String, neutral: [String])
    }

    let name: String
    let meaning: Meaning
}

/// What values a variable takes.
enum VariableValue: Sendable {
    case text
    case bool
    /// - unset: values that stand for no value.
    case int(ClosedRange<Int>, unset: [Int] = [])
    case number(ClosedRange<Double>)
    /// Tokens, also as 4k or 4K; 0, -1 and auto stand for the model's own.
    case tokens
    case bytes
    /// - spellings: by lower-case value, what it is called here.
    case oneOf([String: String])
    case json

    /// The value as the option takes it; nil: as if it were not set.
    /// - Throws: what is allowed.
    func read(_ text: String) throws(VariableRefusal) -> String? {
        switch self {
        case .text: return text
        case .bool:
            guard let flag = Self.flag(text) else { throw VariableRefusal(allowed: "true or false (1, 0, yes, no, on, off)") }
            return flag ? "true" : "false"
        case .int(let range, let unset):
            guard let number = Int(text.filter { $0 != " " }) else { throw VariableRefusal(allowed: Self.range(range)) }
            if unset.contains(number) { return nil }
            guard range.contains(number) else { throw VariableRefusal(allowed: Self.range(range)) }
            return String(number)
        case .number(let range):
            guard let number = Double(text), range.contains(number) else {
                throw VariableRefusal(allowed: "a number from \(range.lowerBound) to \(range.upperBound)")
            }
            return text
        case .tokens:
            if ["0", "-1", "auto"].contains(text.lowercased()) { return nil }
            guard let count = TokenCount(argument: text) else { throw VariableRefusal(allowed: "a number of tokens such as 4096 or 8k, or auto") }
            return String(count.count)
        case .bytes:
            guard ByteSize(argument: text) != nil else { throw VariableRefusal(allowed: "a number of bytes such as 2147483648 or 2GiB") }
            return text
        case .oneOf(let spellings):
            guard let spelling = spellings[text.lowercased()] else { throw VariableRefusal(allowed: spellings.keys.sorted().joined(separator: ", ")) }
            return spelling
        case .json: return text
        }
    }

    static func flag(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "1", "yes", "on": true
        case "false", "0", "no", "off": false
        default: nil
        }
    }

    private static func range(_ range: ClosedRange<Int>) -> String {
        range.upperBound == .max ? "a whole number from \(range.lowerBound) up" : "a whole number from \(range.lowerBound) to \(range.upperBound)"
    }
}

struct VariableRefusal: Error {
    let allowed: String
}
