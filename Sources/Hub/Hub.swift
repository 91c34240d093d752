import AsyncHTTPClient
package import Progress

/// The door: what the user named becomes files on this machine.
package struct Hub: Sendable {
    package let settings: HubSettings
    let api: HubAPI
    let progress: any ProgressReporter

    /// Opens connections for the time of `body`.
    package static func with<Result>(
        _ settings: HubSettings, progress: any ProgressReporter = SilentProgress(), _ body: (Hub) async throws -> Result
    ) async throws -> Result {
        try await HTTPClient.withHTTPClient(configuration: HubTransport.configuration(settings)) { client in
            let transport = HubTransport(client: client, settings: settings)
            return try await body(Hub(settings: settings, api: HubAPI(transport: transport), progress: progress))
        }
    }

    /// A model from what the user typed. Folders and files need neither settings nor network.
    ///
    /// - Throws: `HubError`, or `CancellationError` when the task is cancelled (what arrived is kept and resumed next time).
    package static func locate(
        _ reference: ModelReference, environment: [String: String], progress: any ProgressReporter = SilentProgress()
    ) async throws -> LocalModel {
        switch reference {
        case .folder(let path, let choice): try LocalModel.inFolder(path, choice: choice)
        case .file(let path): try LocalModel.file(path)
        case .hub(let reference):
            try await with(HubSettings(environment: environment), progress: progress) { try await $0.fetch(reference) }
        }
    }

    /// The commit of a revision and all its files, from the hub.
    package func listing(of reference: HubReference) async throws -> (commit: String, files: [HubFile]) {
        let commit = try await api.commit(reference)
        let cache = RepoCache(root: settings.cache, repo: reference.repo)
        if let known = cache.tree(commit) { return (commit, known) }
        let files = try await api.tree(reference.repo, commit: commit)
        try? cache.remember(files, at: commit)
        return (commit, files)
    }

    /// Brings the files of one model into the cache, those that are missing. Where the hub cannot be reached or refuses, a complete
    /// copy from before will do.
    package func fetch(_ reference: HubReference) async throws -> LocalModel {
        if settings.isOffline { return try cached(reference, because: "HF_HUB_OFFLINE forbids fetching it") }
        let commit: String, files: [HubFile]
        do {
            (commit, files) = try await listing(of: reference)
        } catch let error as HubError {
            if case .revisionNotFound = error { throw error }
            guard let model = try? cached(reference, because: "") else { throw error }
            let line = error.description.prefix { $0 != "\n" }
            progress.note("using the copy of \(reference) in the cache: \(line)")
            return model
        }

        let cache = RepoCache(root: settings.cache, repo: reference.repo)
        let chosen = try ModelFiles.choose(from: files.map(\.path), choice: reference.choice, name: reference.repo.description)
        let byPath = Dictionary(files.map { ($0.path, $0) }) { first, _ in first }
        var weights = chosen.weights
        if let index = chosen.index, let file = byPath[index] {
            try await bring([file], cache, commit, title: "\(reference.repo)")
            weights = try Self.shards(cache.pointer(index, commit))
        }
        var wanted: [HubFile] = []
        for path in chosen.small + weights {
            guard let file = byPath[path] else {
                throw HubError.fileNotFound(repo: reference.repo.description, revision: reference.revision, file: path)
            }
            wanted.append(file)
        }
        try await bring(wanted, cache, commit, title: "\(reference.repo)")
        try? cache.remember(reference.revision, is: commit)
        return Self.model(reference, chosen.format, weights, cache, commit)
    }

    /// Fetches what is missing, largest files first so that the last minute is not one long shard, `parallelFiles` at a time. The
    /// first failure stops the others.
    func bring(_ files: [HubFile], _ cache: RepoCache, _ commit: String, title: String) async throws {
        let missing = files.filter { !cache.has($0.path, size: $0.size, at: commit) }.sorted { ($1.size, $0.path) < ($0.size, $1.path) }
        guard !missing.isEmpty else { return }
        try Files.createFolder(cache.folder)
        try checkSpace(missing, cache)

        let total = missing.reduce(0) { $0 &+ $1.size }
        progress.plan(title, total: total, unit: .bytes)
        defer { progress.close() }
        let download = BlobDownload(api: api, cache: cache, commit: commit, progress: progress)
        try await withThrowingTaskGroup(of: Void.self) { group in
            var rest = missing[...]
            for _ in 0..<max(1, settings.parallelFiles) {
                guard let file = rest.popFirst() else { break }
                group.addTask { try await download.run(file) }
            }
            while try await group.next() != nil {
                if let file = rest.popFirst() { group.addTask { try await download.run(file) } }
            }
        }
    }

    /// Refuses to start what cannot end. What earlier runs brought is already off the free space.
    private func checkSpace(_ missing: [HubFile], _ cache: RepoCache) throws(HubError) {
        var needed = 0
        for file in missing {
            let etag = file.sha256 ?? file.blobID
            guard HubFile.isSafe(etag: etag), Files.size(cache.blob(etag)) == nil else { continue }
            let (sum, overflow) = needed.addingReportingOverflow(max(0, file.size - (Files.size(cache.partial(etag)) ?? 0)))
            needed = overflow ? Int.max : sum
        }
        if let free = Files.freeSpace(cache.folder), free < needed {
            throw .diskFull(path: cache.root, needed: needed, free: free)
        }
    }

    static func shards(_ indexPath: String) throws(HubError) -> [String] {
        guard let bytes = Files.contents(indexPath, limit: 256 << 20) else {
            throw .file(path: indexPath, action: "read", reason: "it cannot be read or is longer than 256 MiB")
        }
        return try ModelFiles.shards(index: bytes, path: indexPath)
    }

    static func model(
        _ reference: HubReference, _ format: ModelFormat, _ weights: [String], _ cache: RepoCache, _ commit: String
    ) -> LocalModel {
        LocalModel(
            format: format, folder: Files.absolute(cache.snapshot(commit)),
            weights: weights.map { Files.absolute(cache.pointer($0, commit)) },
            name: "\(reference.repo)" + (reference.choice.map { ":\($0)" } ?? ""), commit: commit)
    }
}
