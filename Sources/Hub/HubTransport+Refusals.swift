import JSON
import NIOHTTP1

extension HubTransport {
    /// What an answer without success means for the subject of the request.
    func refusal(_ answer: Answer, _ subject: RequestSubject) async -> any Error {
        let code = answer.headers.first(name: "X-Error-Code") ?? ""
        let message = await detail(answer)
        let repo = subject.repo.description, page = settings.endpoint.text + "/" + repo
        let url = answer.url.withoutQuery
        guard isHub(answer.url) else {
            // A storage host: its signed addresses run out, so the next try asks the hub for a fresh one.
            let error = HubError.status(code: answer.status, url: url, detail: message)
            return [401, 403, 408, 410, 429].contains(answer.status) || answer.status >= 500
                ? Transient(error: error, after: retryAfter(answer)) : error
        }
        switch (answer.status, code) {
        case (_, "GatedRepo"):
            return HubError.gated(repo: repo, page: page, hasToken: settings.token != nil)
        case (_, "RevisionNotFound"):
            return HubError.revisionNotFound(repo: repo, revision: subject.revision)
        case (_, "EntryNotFound"):
            return HubError.fileNotFound(repo: repo, revision: subject.revision, file: subject.file ?? "")
        case (_, "RepoNotFound"):
            return HubError.repoNotFound(repo: repo, page: page, hasToken: settings.token != nil)
        case (401, _):
            // A valid token without access gets 404 or `GatedRepo`, so with a token this is about the token itself.
            if let token = settings.token { return HubError.tokenRejected(source: token.source) }
            return HubError.repoNotFound(repo: repo, page: page, hasToken: settings.token != nil)
        case (403, _) where ["gated", "restricted", "awaiting"].contains(where: message.lowercased().contains):
            return HubError.gated(repo: repo, page: page, hasToken: settings.token != nil)
        case (404, _):
            if let file = subject.file { return HubError.fileNotFound(repo: repo, revision: subject.revision, file: file) }
            return HubError.repoNotFound(repo: repo, page: page, hasToken: settings.token != nil)
        case (429, _):
            return Transient(error: .rateLimited(url: url), after: retryAfter(answer))
        case (408, _), (500..., _):
            return Transient(error: .status(code: answer.status, url: url, detail: message), after: retryAfter(answer))
        default:
            return HubError.status(code: answer.status, url: url, detail: message)
        }
    }

    /// The server's own words: a header, or `{"error": …}` in a short body.
    private func detail(_ answer: Answer) async -> String {
        if let message = answer.headers.first(name: "X-Error-Message") { return Self.oneLine(message) }
        guard answer.headers.first(name: "Content-Type")?.hasPrefix("application/json") == true,
            let bytes = try? await collect(answer, limit: 16 * 1024), let json = try? JSONValue(parsing: bytes),
            let message = json["error"]?.string
        else { return "" }
        return Self.oneLine(message)
    }

    private func retryAfter(_ answer: Answer) -> Duration? {
        answer.headers.first(name: "Retry-After").flatMap { Int($0) }.flatMap { $0 >= 0 ? .seconds(min($0, 86_400)) : nil }
    }

    private static func oneLine(_ text: String) -> String {
        String(text.unicodeScalars.prefix(300).map { $0.value < 0x20 || $0.value == 0x7F ? " " : Character($0) })
    }
}
