import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import Progress

/// Brings one file into `blobs`: resumed, retried, checked, and seen by others only when whole.
struct BlobDownload: Sendable {
    let api: HubAPI
    let cache: RepoCache
    let commit: String
    let progress: any ProgressReporter

    private var transport: HubTransport { api.transport }

    /// Leaves the snapshot's link to the blob. Several processes may do this at once: one fetches, the others wait and then link.
    func run(_ file: HubFile) async throws {
        let head = try await api.head(cache.repo, commit: commit, path: file.path)
        let size = head.size ?? file.size
        if isWhole(head.etag, size) {
            try cache.link(file.path, to: head.etag, at: commit)
            progress.finish(progress.begin(file.path, total: size, done: size, unit: .bytes), .skipped)
            return
        }
        try Files.createFolder(Files.parent(cache.blob(head.etag)))
        let lock = try await FileLock.acquire(cache.lock(head.etag)) {
            progress.note("\(file.path): another process is fetching it, waiting")
        }
        let whole = isWhole(head.etag, size)
        if !whole {
            let hash = ContentHash(etag: head.etag) ?? file.hash
            try await fetch(file.path, etag: head.etag, size: size, hash: hash)
        } else {
            progress.finish(progress.begin(file.path, total: size, done: size, unit: .bytes), .skipped)
        }
        try cache.link(file.path, to: head.etag, at: commit)
        lock.release()
    }

    private func isWhole(_ etag: String, _ size: Int) -> Bool { Files.size(cache.blob(etag)) == size }

    private func fetch(_ path: String, etag: String, size: Int, hash: ContentHash?) async throws {
        let partial = try await PartialFile.open(cache.partial(etag), size: size, hash: hash)
        let item = progress.begin(path, total: size, done: partial.received, unit: .bytes)
        do {
            var isPatched = partial.received > 0
            while true {
                if try await fill(partial, path, item) { isPatched = true }
                guard let found = partial.mismatch() else { break }
                guard isPatched else {
                    Files.remove(partial.path)
                    throw HubError.wrongHash(file: path, expected: hash?.description ?? etag, found: found)
                }
                // An old or joined part may have been bad: one more time, from the start and alone.
                progress.note("\(path): the resumed transfer does not match its hash, starting again")
                try partial.restart()
                progress.move(item, to: 0)
                isPatched = false
            }
            try partial.handle.sync()
            try Files.rename(partial.path, cache.blob(etag))
        } catch {
            progress.finish(item, (error as? HubError).map { .failed(Self.firstLine($0)) } ?? .stopped)
            throw error
        }
        progress.finish(item, .done)
    }

    /// Transfers until the file has its size.
    /// - Returns: whether it took more than one transfer.
    private func fill(_ partial: PartialFile, _ path: String, _ item: ProgressItem) async throws -> Bool {
        let policy = transport.settings.retries
        var inARow = 0, inAll = 0, farthest = partial.received
        while partial.received < partial.size {
            do {
                try await transfer(partial, path, item)
            } catch let fault as Transient {
                inARow = partial.received > farthest ? 1 : inARow + 1
                farthest = max(farthest, partial.received)
                inAll += 1
                guard inARow < policy.attempts, inAll < policy.attemptsInAll else { throw fault.error }
                progress.note("\(path): \(Self.firstLine(fault.error)); trying again from \(ProgressFormat.bytes(partial.received))")
                try await Task.sleep(for: transport.wait(fault, attempt: inARow))
            }
        }
        return inAll > 0
    }

    /// One request for what is still missing.
    private func transfer(_ partial: PartialFile, _ path: String, _ item: ProgressItem) async throws {
        let url = api.resolveURL(cache.repo, commit: commit, path: path)
        let range = partial.received > 0 ? [("Range", "bytes=\(partial.received)-")] : []
        let answer = try await transport.send(.GET, url, headers: range)
        func startAgain(_ reason: String) throws -> Transient {
            try partial.restart()
            progress.move(item, to: 0)
            return Transient(error: .badAnswer(url: answer.url.withoutQuery, reason: reason))
        }
        switch answer.status {
        case 200:
            if partial.received > 0 {
                try partial.restart()
                progress.move(item, to: 0)
            }
            if let length = answer.headers.first(name: "Content-Length").flatMap({ Int($0) }), length != partial.size {
                throw Transient(error: .badAnswer(
                    url: answer.url.withoutQuery, reason: "it is \(length) bytes long, the hub says \(partial.size)"))
            }
        case 206:
            let range = answer.headers.first(name: "Content-Range") ?? ""
            guard ContentRange(range).map({ $0.first == partial.received && ($0.total ?? partial.size) == partial.size }) == true else {
                throw try startAgain("asked for bytes from \(partial.received) on, it sends '\(range)'")
            }
        case 416:
            throw try startAgain("it cannot resume (416)")
        default:
            throw await transport.refusal(answer, RequestSubject(repo: cache.repo, revision: commit, file: path))
        }
        if let coding = answer.headers.first(name: "Content-Encoding"), coding.lowercased() != "identity" {
            throw HubError.badAnswer(url: answer.url.withoutQuery, reason: "it is encoded as \(coding) though that was not asked for")
        }
        do {
            for try await buffer in answer.body {
                guard partial.received + buffer.readableBytes <= partial.size else {
                    throw try startAgain("it is longer than the \(partial.size) bytes that the hub says")
                }
                try buffer.withUnsafeReadableBytes { bytes throws(HubError) in try partial.append(bytes) }
                progress.advance(item, by: buffer.readableBytes)
            }
        } catch {
            throw transport.failure(error, at: answer.url)
        }
        if partial.received < partial.size {
            throw Transient(error: .truncated(file: path, received: partial.received, expected: partial.size))
        }
    }

    private static func firstLine(_ error: HubError) -> String {
        String(error.description.prefix { $0 != "\n" })
    }
}

/// `bytes 5-9/10` of an answer to a range request.
struct ContentRange: Equatable {
    let first: Int
    /// nil for `*`.
    let total: Int?

    init?(_ text: String) {
        guard text.lowercased().hasPrefix("bytes ") else { return nil }
        let halves = text.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2, let first = halves[0].split(separator: "-").first.flatMap({ Int($0) }), first >= 0 else { return nil }
        if halves[1] == "*" {
            total = nil
        } else {
            guard let size = Int(halves[1]) else { return nil }
            total = size
        }
        self.first = first
    }
}
