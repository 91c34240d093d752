import JSON
import NIOHTTP1

/// The three questions that fetching a model asks of the hub.
struct HubAPI: Sendable {
    let transport: HubTransport

    private static let longestPage = 32 * 1024 * 1024
    private static let mostPages = 2000

    /// What a file is called in the cache, how long it is, and what it must hash to.
    struct FileHead: Sendable, Equatable {
        let etag: String
        let size: Int?
        let commit: String?
    }

    /// The commit that a branch, tag or shortened commit names now.
    func commit(_ reference: HubReference) async throws -> String {
        if HubReference.isCommit(reference.revision) { return reference.revision }
        let url = transport.settings.endpoint.appending(
            "/api/models/\(reference.repo)/revision/\(HubURL.encode(reference.revision))")
        let (json, _) = try await json(url, RequestSubject(repo: reference.repo, revision: reference.revision))
        guard let commit = json["sha"]?.string, HubReference.isCommit(commit) else {
            throw HubError.badAnswer(url: url.withoutQuery, reason: "it names no commit")
        }
        return commit
    }

    /// Every file of a commit, page by page along the `Link` headers.
    func tree(_ repo: RepoID, commit: String) async throws -> [HubFile] {
        var files: [HubFile] = []
        var next: HubURL? = transport.settings.endpoint.appending("/api/models/\(repo)/tree/\(commit)?recursive=true&expand=false")
        var pages = 0
        while let url = next {
            pages += 1
            guard pages <= Self.mostPages else { throw HubError.badAnswer(url: url.withoutQuery, reason: "its pages do not end") }
            let (json, headers) = try await json(url, RequestSubject(repo: repo, revision: commit))
            guard let entries = json.array else { throw HubError.badAnswer(url: url.withoutQuery, reason: "it is no list of files") }
            for entry in entries where entry["type"]?.string == "file" {
                files.append(try Self.file(entry, url))
            }
            next = Self.nextPage(headers).flatMap(url.resolving)
            if url.isEncrypted, let next, !next.isEncrypted {
                throw HubError.unsafeRedirect(from: url.withoutQuery, to: next.withoutQuery)
            }
        }
        return files
    }

    /// Asks for a file without taking it. Redirects within the hub (renamed repositories) are followed; the one to a storage host
    /// already carries the answer.
    func head(_ repo: RepoID, commit: String, path: String) async throws -> FileHead {
        let url = resolveURL(repo, commit: commit, path: path)
        return try await transport.retrying {
            let answer = try await transport.send(.HEAD, url, follow: .hubOnly)
            guard (200..<400).contains(answer.status) else {
                throw await transport.refusal(answer, RequestSubject(repo: repo, revision: commit, file: path))
            }
            let linked = answer.headers.first(name: "X-Linked-Etag") ?? answer.headers.first(name: "ETag")
            guard let etag = linked.map(Self.normalized), HubFile.isSafe(etag: etag) else {
                throw HubError.badAnswer(
                    url: url.withoutQuery, reason: "it has no usable ETag; is HF_ENDPOINT a hub, or does a proxy drop headers?")
            }
            let length = answer.headers.first(name: "X-Linked-Size")
                ?? (answer.status < 300 ? answer.headers.first(name: "Content-Length") : nil)
            return FileHead(
                etag: etag, size: length.flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil },
                commit: answer.headers.first(name: "X-Repo-Commit"))
        }
    }

    func resolveURL(_ repo: RepoID, commit: String, path: String) -> HubURL {
        transport.settings.endpoint.appending("/\(repo)/resolve/\(HubURL.encode(commit))/\(HubURL.encode(path, keeping: "/"))")
    }

    /// An etag as a file name: without the mark of weakness and the quotes.
    static func normalized(_ etag: String) -> String {
        var text = Substring(etag)
        if text.hasPrefix("W/") { text = text.dropFirst(2) }
        while text.hasPrefix("\"") { text = text.dropFirst() }
        while text.hasSuffix("\"") { text = text.dropLast() }
        return String(text)
    }

    /// The address of `<…>; rel="next"` among the links of an answer.
    static func nextPage(_ headers: HTTPHeaders) -> String? {
        for link in headers["Link"] {
            var rest = Substring(link)
            while let open = rest.firstIndex(of: "<"), let close = rest[open...].firstIndex(of: ">") {
                let target = rest[rest.index(after: open)..<close]
                rest = rest[rest.index(after: close)...]
                let parameters = rest.prefix { $0 != "<" }
                let isNext = parameters.split { $0 == ";" || $0 == "," }.contains { part in
                    part.filter { $0 != " " && $0 != "\"" }.lowercased() == "rel=next"
                }
                if isNext { return String(target) }
            }
        }
        return nil
    }

    private func json(_ url: HubURL, _ subject: RequestSubject) async throws -> (JSONValue, HTTPHeaders) {
        try await transport.retrying(hasFallback: true) {
            let answer = try await transport.send(.GET, url)
            guard answer.status == 200 else { throw await transport.refusal(answer, subject) }
            let bytes = try await transport.collect(answer, limit: Self.longestPage)
            do {
                return (try JSONValue(parsing: bytes), answer.headers)
            } catch {
                throw HubError.badAnswer(url: url.withoutQuery, reason: "it is not JSON (\(error))")
            }
        }
    }

    private static func file(_ entry: JSONValue, _ url: HubURL) throws(HubError) -> HubFile {
        guard let path = entry["path"]?.string, let blob = entry["oid"]?.string else {
            throw .badAnswer(url: url.withoutQuery, reason: "a file without path or oid")
        }
        guard HubFile.isSafe(path: path) else {
            throw .badAnswer(url: url.withoutQuery, reason: "a file whose path leaves the repository: '\(path)'")
        }
        let lfs = entry["lfs"]
        guard let size = lfs?["size"]?.int ?? entry["size"]?.int, size >= 0 else {
            throw .badAnswer(url: url.withoutQuery, reason: "the file '\(path)' has no size")
        }
        return HubFile(path: path, size: size, blobID: blob, sha256: lfs?["oid"]?.string, xetHash: entry["xetHash"]?.string)
    }
}
