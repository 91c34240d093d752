/// Why a model could not be found or brought here. Descriptions say what was asked, what was found and what to do; none carries a
/// token or the query of a signed address.
package enum HubError: Error, Sendable, Equatable {
    /// What the user typed names nothing; `lookedFor` lists what was tried, in order.
    case badReference(text: String, reason: String, lookedFor: [String])
    /// An environment variable that cannot be used.
    case badSetting(name: String, reason: String)

    /// 403, or 401 with the hub's `GatedRepo` code.
    case gated(repo: String, page: String, hasToken: Bool)
    /// 404 on the repository, or the 401 by which the hub hides private and unknown ones from strangers.
    case repoNotFound(repo: String, page: String, hasToken: Bool)
    case revisionNotFound(repo: String, revision: String)
    case fileNotFound(repo: String, revision: String, file: String)
    case tokenRejected(source: String)
    /// Any other answer that is not a success; `detail` is the hub's own message.
    case status(code: Int, url: String, detail: String)
    case rateLimited(url: String)

    /// The hub was not reached at all, or not steadily enough.
    case network(host: String, reason: String)
    case tls(host: String, reason: String)
    case tooManyRedirects(url: String)
    case unsafeRedirect(from: String, to: String)
    /// An answer of the hub that does not say what it should.
    case badAnswer(url: String, reason: String)
    /// Offline, by wish or by fate, and the cache lacks files.
    case missingOffline(repo: String, revision: String, missing: [String], cache: String, cause: String)

    /// Transfer ended early and did not go on after all retries.
    case truncated(file: String, received: Int, expected: Int)
    /// Content is not what the hub promised; the file has been deleted.
    case wrongHash(file: String, expected: String, found: String)
    case diskFull(path: String, needed: Int, free: Int)
    case permission(path: String, action: String)
    case file(path: String, action: String, reason: String)

    /// The repository holds nothing that this program loads.
    case noModel(repo: String, found: [String])
    case noSuchChoice(repo: String, choice: String, available: [String])
    case ambiguousChoice(repo: String, choice: String, matches: [String])
}

extension HubError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .badReference(let text, let reason, let lookedFor):
            let list = lookedFor.isEmpty ? "" : "\nLooked for:" + lookedFor.map { "\n  - \($0)" }.joined()
            return "cannot use '\(text)' as a model: \(reason)\(list)"
        case .badSetting(let name, let reason):
            return "environment variable \(name): \(reason)"
        case .gated(let repo, let page, let hasToken):
            let token = hasToken
                ? "The token in use has no access to it: ask for access on that page with the account of the token."
                : "Ask for access on that page, then give a token of that account in HF_TOKEN."
            return "'\(repo)' is gated: its owners grant access person by person.\nPage: \(page)\n\(token)"
        case .repoNotFound(let repo, let page, let hasToken):
            let token = hasToken
                ? "It does not exist, or it is private and the token in use may not read it."
                : "It does not exist, or it is private or gated: then give a token with access in HF_TOKEN."
            return "the hub shows no model '\(repo)' (\(page)).\n\(token) Check the spelling, upper and lower case included."
        case .revisionNotFound(let repo, let revision):
            return "'\(repo)' has no branch, tag or commit '\(revision)'. Leave out '@\(revision)' for the main branch."
        case .fileNotFound(let repo, let revision, let file):
            return "'\(repo)' at \(revision) has no file '\(file)'."
        case .tokenRejected(let source):
            return "the hub rejects the token from \(source): it is mistyped, expired or revoked. Renew it or unset it."
        case .status(let code, let url, let detail):
            return "the hub answered \(code) for \(url)\(detail.isEmpty ? "" : ": \(detail)")"
        case .rateLimited(let url):
            return "the hub limits the rate of requests (429) for \(url). Wait some minutes; with HF_TOKEN the limit is higher."
        case .network(let host, let reason):
            return "cannot reach \(host): \(reason).\nWithout network: HF_HUB_OFFLINE=1 uses the cache alone, and a model's folder or "
                + ".gguf file can be named directly. HF_ENDPOINT names another hub."
        case .tls(let host, let reason):
            return "no trusted connection to \(host): \(reason).\nBehind a proxy that opens TLS, name its certificate authority in "
                + "SSL_CERT_FILE."
        case .tooManyRedirects(let url):
            return "\(url) redirects in circles."
        case .unsafeRedirect(let from, let to):
            return "\(from) redirects to \(to), which is not encrypted; not followed."
        case .badAnswer(let url, let reason):
            return "unexpected answer from \(url): \(reason)"
        case .missingOffline(let repo, let revision, let missing, let cache, let cause):
            let list = missing.map { "\n  - \($0)" }.joined()
            return "'\(repo)' at \(revision) is not complete in the cache \(cache), and \(cause). Missing:\(list)"
        case .truncated(let file, let received, let expected):
            return "\(file): the transfer broke off at \(received) of \(expected) bytes and did not go on. What is here is kept: run "
                + "again to resume."
        case .wrongHash(let file, let expected, let found):
            return "\(file): damaged in transfer (hash \(found), the hub says \(expected)). The copy was deleted; try again."
        case .diskFull(let path, let needed, let free):
            return "not enough room in \(path): \(needed) bytes needed, \(free) free. HF_HUB_CACHE names another place."
        case .permission(let path, let action):
            return "no permission to \(action) \(path). HF_HUB_CACHE names another place."
        case .file(let path, let action, let reason):
            return "cannot \(action) \(path): \(reason)"
        case .noModel(let repo, let found):
            return "'\(repo)' holds neither safetensors weights with a config.json nor a GGUF file. Found: \(Self.list(found))"
        case .noSuchChoice(let repo, let choice, let available):
            return "'\(repo)' has nothing that matches '\(choice)'. Available: \(Self.list(available))"
        case .ambiguousChoice(let repo, let choice, let matches):
            let cause = choice.isEmpty ? "no quantisation was named and none of the usual ones is among the" : "'\(choice)' matches several"
            return "\(cause) models of '\(repo)': \(Self.list(matches)). Say one, as in \(repo):\(matches.first ?? "")"
        }
    }

    private static func list(_ names: [String]) -> String {
        names.isEmpty ? "nothing" : names.prefix(20).joined(separator: ", ") + (names.count > 20 ? ", …" : "")
    }
}
