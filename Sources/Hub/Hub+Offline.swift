extension Hub {
    /// The model from the cache alone.
    ///
    /// - Throws: `HubError.missingOffline` with every file that is known to be missing. Without a stored listing of the commit only
    ///   weights that an index or a part's name announces can be known to be missing.
    package func cached(_ reference: HubReference, because cause: String) throws(HubError) -> LocalModel {
        let cache = RepoCache(root: settings.cache, repo: reference.repo)
        func missing(_ files: [String]) -> HubError {
            .missingOffline(
                repo: reference.repo.description, revision: reference.revision, missing: files, cache: settings.cache, cause: cause)
        }
        guard let commit = cache.commit(reference.revision) else {
            throw missing(["everything: it was never fetched at this revision (no \(cache.folder)/refs/\(reference.revision))"])
        }
        let present = cache.present(commit), listing = cache.tree(commit)
        let chosen: ModelFiles
        do {
            chosen = try ModelFiles.choose(
                from: listing?.map(\.path) ?? present, choice: reference.choice, name: reference.repo.description)
        } catch .noModel {
            throw missing(["config.json with *.safetensors, or a .gguf file"])
        } catch .noSuchChoice(_, let choice, _) where listing == nil {
            throw missing(["a file that matches '\(choice)'"])
        } catch .fileNotFound(_, _, let file) where listing == nil {
            throw missing([file])
        }
        let sizes = Dictionary((listing ?? []).map { ($0.path, $0.size) }) { first, _ in first }
        func lacking(_ paths: [String]) -> [String] {
            paths.filter { !cache.has($0, size: sizes[$0], at: commit) }
        }
        var weights = chosen.weights
        if let index = chosen.index {
            let first = lacking([index])
            guard first.isEmpty else { throw missing(first + lacking(chosen.small)) }
            weights = try Self.shards(cache.pointer(index, commit))
        }
        let absent = lacking(chosen.small + weights)
        guard absent.isEmpty else { throw missing(absent) }
        return Self.model(reference, chosen.format, weights, cache, commit)
    }
}
