import JSON
import Yams

/// YAML files as JSON values, so that one reader checks what files and the admin API give.
enum YAMLText {
    static func read(_ path: String) throws -> JSONValue {
        guard let root = try YAMLFile.compose(path) else { return .object(JSONObject()) }
        return try value(root, path, depth: 0)
    }

    private static func value(_ node: Node, _ path: String, depth: Int) throws -> JSONValue {
        guard depth < 64 else { throw SettingsError("\(path): nested deeper than 64 levels") }
        switch node {
        case .mapping(let mapping):
            var object = JSONObject()
            for (key, value) in mapping {
                guard let name = key.string else { throw SettingsError("\(path): a key must be a text") }
                object[name] = try self.value(value, path, depth: depth + 1)
            }
            return .object(object)
        case .sequence(let sequence): return .array(try sequence.map { try value($0, path, depth: depth + 1) })
        case .scalar(let scalar): return self.scalar(scalar, node)
        case .alias: throw SettingsError("\(path): aliases are not taken")
        }
    }

    /// A plain scalar is what YAML's core schema makes of it; a quoted one is a text.
    private static func scalar(_ scalar: Node.Scalar, _ node: Node) -> JSONValue {
        guard scalar.style == .plain || scalar.style == .any else { return .string(scalar.string) }
        switch scalar.string {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        if let number = Int(scalar.string) { return .int(number) }
        if scalar.string.first.map({ $0.isNumber || $0 == "-" || $0 == "+" || $0 == "." }) == true, let number = Double(scalar.string) { return .double(number) }
        return .string(scalar.string)
    }
}
