/// One repository in the cache, laid out as Python's `huggingface_hub` does, so that either program uses what the other fetched:
///
/// ```
/// .locks/models--org--name/<etag>.lock
/// models--org--name/blobs/<etag>                   content; <etag>.incomplete while it arrives
///                   refs/main                      the commit's 40 digits, no line end
///                   snapshots/<commit>/config.json -> ../../blobs/<etag>
///                   trees/<commit>.json            what the commit holds (huggingface_hub 2)
/// ```
///
/// No `CACHEDIR.TAG`, though version 2 writes one: older versions warn of a damaged cache when they scan it.
package struct RepoCache: Sendable {
    package let root: String
    package let repo: RepoID

    package init(root: String, repo: RepoID) {
        (self.root, self.repo) = (root, repo)
    }

    package var folder: String { Files.join(root, repo.folderName) }
    package func blob(_ etag: String) -> String { folder + "/blobs/" + etag }
    package func partial(_ etag: String) -> String { blob(etag) + ".incomplete" }
    package func lock(_ etag: String) -> String { Files.join(root, ".locks/\(repo.folderName)/\(etag).lock") }
    package func snapshot(_ commit: String) -> String { folder + "/snapshots/" + commit }
    package func pointer(_ path: String, _ commit: String) -> String { snapshot(commit) + "/" + path }

    /// The commit that a revision named when it was last fetched.
    package func commit(_ revision: String) -> String? {
        if HubReference.isCommit(revision) { return revision }
        guard HubReference.isRevision(revision), let bytes = Files.contents(folder + "/refs/" + revision, limit: 256) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
        return HubReference.isCommit(text) ? text : nil
    }

    package func remember(_ revision: String, is commit: String) throws(HubError) {
        guard revision != commit, HubReference.isRevision(revision), self.commit(revision) != commit else { return }
        let path = folder + "/refs/" + revision
        try Files.createFolder(Files.parent(path))
        try Files.replace(path, with: Array(commit.utf8))
    }

    package func tree(_ commit: String) -> [HubFile]? {
        Files.contents(treePath(commit), limit: 64 << 20).flatMap(TreeListing.parse)
    }

    package func remember(_ tree: [HubFile], at commit: String) throws(HubError) {
        try Files.createFolder(folder + "/trees")
        try Files.replace(treePath(commit), with: TreeListing.bytes(tree))
    }

    /// Whether a file of the snapshot is there, whole as far as its size tells.
    package func has(_ path: String, size: Int?, at commit: String) -> Bool {
        guard let found = Files.size(pointer(path, commit)) else { return false }
        return size == nil || found == size
    }

    /// Makes the snapshot's name for a blob. Where links cannot be made the blob itself moves there, as Python does.
    package func link(_ path: String, to etag: String, at commit: String) throws(HubError) {
        let pointer = pointer(path, commit)
        try Files.createFolder(Files.parent(pointer))
        let up = String(repeating: "../", count: 2 + path.utf8.count { $0 == UInt8(ascii: "/") })
        do {
            try Files.link(pointer, to: up + "blobs/" + etag)
        } catch .permission {
            try Files.rename(blob(etag), pointer)
        }
    }

    /// Files of the snapshot that can be read, relative to it.
    package func present(_ commit: String) -> [String] { (try? Files.tree(snapshot(commit))) ?? [] }

    private func treePath(_ commit: String) -> String { folder + "/trees/\(commit).json" }
}
