import Compute
package import Weights

/// A family of models: from a configuration to the description of a decoder.
package protocol DecoderFamily: Sendable {
    /// Names in `architectures` of `config.json`.
    static var architectures: [String] { get }
    static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription
}

/// The families that this build knows. Adding one is a file and a line here.
package enum DecoderFamilies {
    static let all: [any DecoderFamily.Type] = [
        LlamaFamily.self,
        MistralFamily.self,
        Qwen2Family.self,
    ]

    package static var supportedArchitectures: [String] { all.flatMap { $0.architectures }.sorted() }

    static func family(of config: ConfigReader) throws(LoadError) -> (any DecoderFamily.Type)? {
        for name in try config.strings(optional: "architectures") ?? [] {
            if let family = all.first(where: { $0.architectures.contains(name) }) { return family }
        }
        return nil
    }

    /// The description of the model in `config.json`.
    package static func describe(_ config: ConfigReader) throws(LoadError) -> DecoderDescription {
        if let family = try family(of: config) { return try family.describe(config) }
        let names = try config.strings(optional: "architectures") ?? []
        let found = names.isEmpty ? "is missing" : "is \(names.joined(separator: ", ")), which is not supported"
        throw config.error("architectures", "\(found); supported are \(supportedArchitectures.joined(separator: ", "))")
    }
}
