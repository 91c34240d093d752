
/// One option of a command, as the parser itself describes it.
package struct CommandOption: Sendable, Equatable {
    package enum Kind: Sendable { case value, flag, invertibleFlag }
    package var name: String
    package var kind: Kind
}

/// The options of a command that settings may set.
package struct OptionCatalogue: Sendable {
    package var options: [CommandOption]

    /// By command name.
    package static let commands: [String: OptionCatalogue] = [
        "serve": OptionCatalogue(
            values: EngineOptions.values + LoRAFlags.values + ServerFlags.values + ["config"],
            flags: LoRAFlags.flags + ServerFlags.flags + EngineOptions.flags, invertible: EngineOptions.invertible),
        "chat": OptionCatalogue(values: EngineOptions.values + ["lora", "config"], flags: EngineOptions.flags, invertible: EngineOptions.invertible),
        "generate": OptionCatalogue(values: EngineOptions.values + ["lora", "config"], flags: EngineOptions.flags, invertible: EngineOptions.invertible),
    ]

    init(values: [String], flags: [String], invertible: [String]) {
        options = values.map { CommandOption(name: $0, kind: .value) } + flags.map { CommandOption(name: $0, kind: .flag) }
            + invertible.map { CommandOption(name: $0, kind: .invertibleFlag) }
    }
}
