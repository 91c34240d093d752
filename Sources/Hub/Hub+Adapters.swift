package import Progress

/// Adapters (PEFT): a folder, or a repository that holds nothing but one.
extension Hub {
    /// The folder of an adapter that the user named: a path, or `org/name[@revision]` on the hub.
    package static func locateAdapter(
        _ text: String, environment: [String: String], progress: any ProgressReporter = SilentProgress()
    ) async throws -> String {
        let path = HubSettings.expand(text, environment)
        if Files.kind(path) == .folder { return Files.absolute(path) }
        let looksLocal = ["/", "./", "../", "~"].contains { text.hasPrefix($0) }
        guard !looksLocal, let reference = ModelReference.hubReference(text), reference.choice == nil else {
            throw HubError.file(path: path, action: "find", reason: "there is no such folder")
        }
        return try await with(HubSettings(environment: environment), progress: progress) { try await $0.fetchAdapter(reference) }
    }

    private static let adapterFiles = ["adapter_config.json", "adapter_model.safetensors"]

    /// Brings an adapter's files into the cache, those that are missing.
    /// - Returns: the folder that holds them.
    package func fetchAdapter(_ reference: HubReference) async throws -> String {
        let cache = RepoCache(root: settings.cache, repo: reference.repo)
        if settings.isOffline {
            guard let commit = cache.commit(reference.revision), Self.adapterFiles.allSatisfy({ cache.has($0, size: nil, at: commit) }) else {
                throw HubError.missingOffline(
                    repo: reference.repo.description, revision: reference.revision, missing: Self.adapterFiles, cache: settings.cache,
                    cause: "HF_HUB_OFFLINE forbids fetching it")
            }
            return Files.absolute(cache.snapshot(commit))
        }
        let (commit, files) = try await listing(of: reference)
        var wanted: [HubFile] = []
        for path in Self.adapterFiles {
            guard let file = files.first(where: { $0.path == path }) else {
                throw HubError.fileNotFound(repo: reference.repo.description, revision: reference.revision, file: path)
            }
            wanted.append(file)
        }
        try await bring(wanted, cache, commit, title: "\(reference.repo)")
        try? cache.remember(reference.revision, is: commit)
        return Files.absolute(cache.snapshot(commit))
    }
}
