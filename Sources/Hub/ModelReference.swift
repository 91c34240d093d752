/// What a user types after `serve`, sorted out: a folder, a file, or a model of the hub.
package enum ModelReference: Sendable, Equatable {
    /// An existing folder with a `config.json` or GGUF files; `choice` picks among its weights.
    case folder(path: String, choice: String?)
    /// An existing GGUF file.
    case file(path: String)
    case hub(HubReference)

    /// Tries, in this order: an existing folder or file, `folder:choice`, an address on the hub, `org/name[:choice][@revision]`
    /// (either order), `org/name/path/in/repo.gguf`.
    ///
    /// - Throws: `HubError.badReference`, which names everything that was looked for.
    package init(_ text: String, environment: [String: String]) throws(HubError) {
        guard text.contains(where: { !$0.isWhitespace }) else {
            throw .badReference(text: text, reason: "it is empty", lookedFor: [])
        }
        let path = HubSettings.expand(text, environment)
        if let local = try Self.local(path, typed: text) {
            self = local
            return
        }
        if let colon = path.lastIndex(of: ":"), Files.kind(String(path[..<colon])) == .folder,
            case .folder(let folder, _)? = try Self.local(String(path[..<colon]), typed: text)
        {
            self = .folder(path: folder, choice: String(path[path.index(after: colon)...]))
            return
        }

        var lookedFor = ["a folder or a GGUF file at \(Files.absolute(path))"]
        let looksLocal = ["/", "./", "../", "~"].contains { text.hasPrefix($0) } || text == "." || text == ".."
        if looksLocal {
            throw .badReference(text: text, reason: "there is no such folder or file", lookedFor: lookedFor)
        }
        if let reference = Self.hubReference(text) {
            self = .hub(reference)
            return
        }
        lookedFor.append("a model of the hub, as org/name, org/name:quantisation or org/name@revision")
        let isLoneName = !text.contains("/")
        throw .badReference(
            text: text, reason: isLoneName ? "no such folder or file, and a model of the hub has two names, org/name"
                : "no such folder or file, and it does not read as the name of a model on the hub",
            lookedFor: lookedFor)
    }

    private static func local(_ path: String, typed text: String) throws(HubError) -> ModelReference? {
        switch Files.kind(path) {
        case .folder:
            let names = (try? Files.list(path)) ?? []
            guard names.contains("config.json") || names.contains(where: { $0.lowercased().hasSuffix(".gguf") }) else {
                throw .badReference(
                    text: text, reason: "the folder is there but holds no model",
                    lookedFor: [Files.join(Files.absolute(path), "config.json"), Files.join(Files.absolute(path), "*.gguf")])
            }
            return .folder(path: Files.absolute(path), choice: nil)
        case .file:
            if path.lowercased().hasSuffix(".gguf") || Files.contents(path, limit: 4, allowMore: true) == Array("GGUF".utf8) {
                return .file(path: Files.absolute(path))
            }
            throw .badReference(
                text: text, reason: "the file is not in GGUF format; for safetensors name the folder that also holds config.json",
                lookedFor: ["a name that ends in .gguf, or the bytes 'GGUF' at the start of \(Files.absolute(path))"])
        case .other:
            throw .badReference(text: text, reason: "it is neither a folder nor a regular file", lookedFor: [])
        case nil:
            return nil
        }
    }

    /// Only the words; nothing is asked of the hub.
    static func hubReference(_ text: String) -> HubReference? {
        var rest = Substring(text)
        var isAddress = false
        for prefix in ["https://huggingface.co/", "http://huggingface.co/", "https://hf.co/", "hf.co/", "huggingface.co/", "hf://"]
        where rest.lowercased().hasPrefix(prefix) {
            rest = rest.dropFirst(prefix.count)
            isAddress = true
            break
        }
        if isAddress {
            rest = rest.prefix { $0 != "?" && $0 != "#" }
            if rest.hasPrefix("models/") { rest = rest.dropFirst(7) }
            while rest.hasSuffix("/") { rest = rest.dropLast() }
        }
        // org/name up to the first mark, then marks and what they mean, in either order.
        let repoPart = rest.prefix { $0 != ":" && $0 != "@" }
        var revision: Substring?, choice: Substring?
        rest = rest[repoPart.endIndex...]
        while let mark = rest.first {
            let body = rest.dropFirst()
            let end = body.firstIndex { $0 == ":" || $0 == "@" } ?? body.endIndex
            let value = body[..<end]
            guard !value.isEmpty else { return nil }
            if mark == "@" {
                guard revision == nil else { return nil }
                revision = value
            } else {
                guard choice == nil else { return nil }
                choice = value
            }
            rest = body[end...]
        }
        let segments = repoPart.split(separator: "/", omittingEmptySubsequences: false)
        guard segments.count >= 2, let repo = RepoID("\(segments[0])/\(segments[1])") else { return nil }
        if segments.count > 2 {
            // A page's address carries the revision and a file; a bare path names a file of the main branch.
            if isAddress, ["tree", "blob", "resolve"].contains(segments[2]) {
                guard segments.count >= 4, revision == nil else { return nil }
                revision = segments[3]
                if segments.count > 4 {
                    guard choice == nil else { return nil }
                    choice = repoPart[segments[4].startIndex...]
                }
            } else {
                guard choice == nil, repoPart.lowercased().hasSuffix(".gguf") else { return nil }
                choice = repoPart[segments[2].startIndex...]
            }
        }
        if let revision, !HubReference.isRevision(revision) { return nil }
        if let choice, choice.utf8.contains(where: { $0 < 0x20 }) { return nil }
        return HubReference(repo: repo, revision: revision.map(String.init) ?? "main", choice: choice.map(String.init))
    }
}
