#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif
internal import Synchronization

/// Folders with the tables of vocabularies, so that the next start maps them instead of making them out of megabytes of JSON.
///
/// Files are named for what is in the `tokenizer.json` they come from; one that is damaged, or that somebody else could have written, is passed over.
/// Nothing here is needed: where no folder can be written, each start reads the JSON.
package final class TokenizerCache: Sendable {
    /// Names the content of a file.
    struct Key {
        var hash: UInt64
        var byteCount: Int

        init(of file: FileMapping) {
            hash = ContentChecksum.hash(file.bytes)
            byteCount = file.bytes.count
        }
    }

    /// Files that are kept; older ones go.
    private static let most = 16
    private let folders: [String]
    private let unwritten = Mutex<[(kept: KeptTokenizer, key: Key)]>([])
    private let found = Atomic(0)
    /// Tokenizers whose tables were there.
    package var hitCount: Int { found.load(ordering: .relaxed) }

    /// - Parameter folders: all are looked in; written to is the first that can be, which is made if need be.
    package init(folders: [String]) { self.folders = folders }

    /// `needletail/tokenizers` under `$BASE_PATH`, where a worker's models outlive it, and under `$XDG_CACHE_HOME`, by default `~/.cache`.
    package convenience init(environment: [String: String]) {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let places = [value("BASE_PATH"), value("XDG_CACHE_HOME") ?? value("HOME").map { $0 + "/.cache" }]
        self.init(folders: places.compactMap { $0.map { $0 + "/needletail/tokenizers" } })
    }

    private func name(_ key: Key) -> String {
        let digits = String(key.hash, radix: 16)
        return "\(String(repeating: "0", count: 16 - digits.count))\(digits).tables"
    }

    func find(_ key: Key) -> KeptTokenizer? {
        for folder in folders {
            guard let file = try? FileMapping("\(folder)/\(name(key))", limit: TokenizerFile.largest), file.isOurs,
                let kept = TokenizerFile.read(file, key)
            else { continue }
            found.add(1, ordering: .relaxed)
            return kept
        }
        return nil
    }

    /// Notes tables for `write`.
    func keep(_ kept: KeptTokenizer, _ key: Key) { unwritten.withLock { $0.append((kept, key)) } }

    /// Writes what was noted, if something was; to be called when nobody waits.
    /// - Returns: files written.
    @discardableResult
    package func write() -> Int {
        let noted = unwritten.withLock { noted in
            defer { noted = [] }
            return noted
        }
        guard !noted.isEmpty else { return 0 }
        for folder in folders where make(folder) {
            clearUp(folder, leaving: Self.most - noted.count)
            let count = noted.count { write(TokenizerFile.bytes($0.kept, $0.key), to: "\(folder)/\(name($0.key))") }
            if count > 0 { return count }
        }
        return 0
    }

    /// Under another name first, so that nobody reads half a file.
    private func write(_ bytes: [UInt8], to path: String) -> Bool {
        let draft = "\(path).\(getpid()).draft"
        let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { return false }
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { writeSome(file, UnsafeRawBufferPointer(rebasing: $0[offset...])) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            offset += count
        }
        guard close(file) == 0, offset == bytes.count, rename(draft, path) == 0 else {
            unlink(draft)
            return false
        }
        return true
    }

    private func make(_ folder: String) -> Bool {
        var path = ""
        for part in folder.split(separator: "/", omittingEmptySubsequences: false) {
            path += part
            if !path.isEmpty, mkdir(path, 0o700) != 0, errno != EEXIST { return false }
            path += "/"
        }
        return true
    }

    /// Removes the oldest files, and drafts of processes that did not get to their end.
    private func clearUp(_ folder: String, leaving count: Int) {
        guard let directory = opendir(folder) else { return }
        defer { closedir(directory) }
        var tables: [(path: String, age: Int)] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            var info = stat()
            guard stat("\(folder)/\(name)", &info) == 0 else { continue }
            let age = time(nil) - info.st_mtim.tv_sec
            if name.hasSuffix(".tables") { tables.append(("\(folder)/\(name)", age)) }
            if name.hasSuffix(".draft"), age > 600 { unlink("\(folder)/\(name)") }
        }
        for (path, _) in tables.sorted(by: { $0.age < $1.age }).dropFirst(max(0, count)) { unlink(path) }
    }
}

/// The system's call, which the method of the same name hides.
private func writeSome(_ file: Int32, _ bytes: UnsafeRawBufferPointer) -> Int { write(file, bytes.baseAddress, bytes.count) }
