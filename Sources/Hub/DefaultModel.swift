/// What `serve` without a model serves, and where it is looked for.
package enum DefaultModel {
    package static let name = "SmolLM2-135M-Instruct"
    package static let hubID = "HuggingFaceTB/SmolLM2-135M-Instruct"
    /// A path or hub id that replaces the default.
    package static let variable = "NEEDLETAIL_DEFAULT_MODEL"

    /// `$XDG_CACHE_HOME/needletail/models`, by default `~/.cache/needletail/models`.
    package static func folder(environment: [String: String]) -> String {
        let cache = environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? "~/.cache"
        return HubSettings.expand(Files.join(cache, "needletail/models"), environment)
    }

    /// In this order: what the environment names, a GGUF file or folder of that name in `folder`, the hub.
    ///
    /// Files are recognised by their beginning (`SmolLM2-135M-Instruct.Q4_1.gguf`), in upper or lower case.
    package static func reference(environment: [String: String]) throws(HubError) -> ModelReference {
        if let text = environment[variable], !text.isEmpty { return try ModelReference(text, environment: environment) }
        let folder = folder(environment: environment)
        let matches = ((try? Files.list(folder)) ?? []).filter { $0.lowercased().hasPrefix(name.lowercased()) }
        for match in matches {
            let path = Files.join(folder, match)
            switch Files.kind(path) {
            case .file where match.lowercased().hasSuffix(".gguf"): return .file(path: path)
            case .folder:
                if let reference = try? ModelReference(path, environment: environment) { return reference }
            default: break
            }
        }
        guard let repo = RepoID(hubID) else {
            throw .badReference(text: hubID, reason: "it is no name of a model on the hub", lookedFor: [])
        }
        return .hub(HubReference(repo: repo))
    }

    /// The places of `reference`, for a message when nothing was found.
    package static func places(environment: [String: String]) -> [String] {
        ["\(variable) (a path or org/name)", Files.join(folder(environment: environment), "\(name)*.gguf"), "\(hubID) on the hub"]
    }
}
