import Yams

/// Arguments with what the environment and a YAML file say added, so that each option is declared once, in ArgumentParser.
///
/// For an option `--max-model-len` the variables are `NEEDLETAIL_MAX_MODEL_LEN` and `MAX_MODEL_LEN`, and the key of the file
/// `max-model-len` or `max_model_len`. What stands on the command line wins over the environment, that over the file.
package struct Settings: Sendable {
    package private(set) var arguments: [String]
    /// Options that did not come from the command line, and from where.
    package private(set) var origins: [String: String] = [:]

    /// - Throws: `SettingsError` where the file cannot be read or holds a key that is no option.
    package init(arguments: [String], environment: [String: String]) throws {
        self.arguments = arguments
        guard let command = arguments.first, let catalogue = OptionCatalogue.commands[command] else { return }
        // Help and the text after `--` are nobody's settings.
        if arguments.contains(where: { ["-h", "--help", "help"].contains($0) }) { return }
        let given = Set(arguments.compactMap { Self.optionName($0, catalogue) })
        var additions: [String] = []
        for option in catalogue.options where !given.contains(option.name) {
            guard let (value, variable) = Self.variable(of: option, in: environment) else { continue }
            additions += try Self.spelled(option, [value], origin: "the environment variable \(variable)")
            origins[option.name] = "the environment variable \(variable)"
        }
        try addFile(Self.configPath(arguments, environment), catalogue, given, &additions)
        let end = arguments.firstIndex(of: "--") ?? arguments.endIndex
        self.arguments.insert(contentsOf: additions, at: end)
    }

    private mutating func addFile(_ path: String?, _ catalogue: OptionCatalogue, _ given: Set<String>, _ additions: inout [String]) throws {
        guard let path else { return }
        for (key, node) in try YAMLFile.read(path) {
            let name = key.replacing("_", with: "-")
            if name == "model", !catalogue.options.contains(where: { $0.name == "model" }) {
                if !Self.hasPositional(arguments, catalogue), let value = node.string { additions.insert(value, at: 0) }
                continue
            }
            guard let option = catalogue.options.first(where: { $0.name == name }) else {
                throw SettingsError("\(path): '\(key)' is not an option of this command; see `needletail \(arguments[0]) --help`")
            }
            if given.contains(name) || origins[name] != nil { continue }
            let values: [String]
            if let sequence = node.sequence {
                values = sequence.compactMap { $0.string }
            } else if let text = node.string {
                values = [text]
            } else {
                throw SettingsError("\(path): '\(key)' must be a value or a list of values")
            }
            additions += try Self.spelled(option, values, origin: path)
            origins[name] = path
        }
    }

    /// Name of the option that an argument sets: `--max-model-len=4` and `--no-prefix-caching` too.
    private static func optionName(_ argument: String, _ catalogue: OptionCatalogue) -> String? {
        guard argument.hasPrefix("--") else { return nil }
        let name = String(argument.dropFirst(2).prefix { $0 != "=" })
        if name.hasPrefix("no-"), catalogue.options.contains(where: { $0.kind != .value && "no-\($0.name)" == name }) {
            return String(name.dropFirst(3))
        }
        return name
    }

    private static func variable(of option: CommandOption, in environment: [String: String]) -> (value: String, name: String)? {
        let upper = option.name.uppercased().replacing("-", with: "_")
        // HOST is set by some shells, CONFIG and MODEL by anything: only the prefixed form counts for them.
        let names = ["HOST", "CONFIG", "SEED"].contains(upper) ? ["NEEDLETAIL_\(upper)"] : ["NEEDLETAIL_\(upper)", upper]
        for name in names {
            if let value = environment[name], !value.isEmpty { return (value, name) }
        }
        return nil
    }

    private static func spelled(_ option: CommandOption, _ values: [String], origin: String) throws -> [String] {
        switch option.kind {
        case .value: return values.flatMap { ["--\(option.name)", $0] }
        case .flag, .invertibleFlag:
            switch values.first?.lowercased() {
            case "1", "true", "yes", "on": return ["--\(option.name)"]
            case "0", "false", "no", "off": return option.kind == .flag ? [] : ["--no-\(option.name)"]
            default:
                throw SettingsError("\(origin): '\(values.first ?? "")' for --\(option.name) is neither true nor false")
            }
        }
    }

    private static func configPath(_ arguments: [String], _ environment: [String: String]) -> String? {
        for (index, argument) in arguments.enumerated() {
            if argument == "--config", index + 1 < arguments.count { return arguments[index + 1] }
            if argument.hasPrefix("--config=") { return String(argument.dropFirst(9)) }
        }
        return environment["NEEDLETAIL_CONFIG"]
    }

    private static func hasPositional(_ arguments: [String], _ catalogue: OptionCatalogue) -> Bool {
        var skipsValue = false
        for argument in arguments.dropFirst() {
            if skipsValue {
                skipsValue = false
            } else if argument.hasPrefix("--") {
                let name = String(argument.dropFirst(2))
                skipsValue = catalogue.options.contains { $0.name == name && $0.kind == .value }
            } else {
                return true
            }
        }
        return false
    }
}

package struct SettingsError: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
