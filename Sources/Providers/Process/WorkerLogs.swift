internal import Glibc
internal import Jobs

/// Files with what worker processes wrote: `FOLDER/ENDPOINT/WORKER.PID-STARTTIME.log`, readable by the owner only.
///
/// A file that grows beyond `limit` bytes is emptied under the writer, its last part kept beside it as `….log.old`. Workers write in append
/// mode, so they go on at the beginning; what they write between the copy and the cut is lost.
package struct WorkerLogs: Sendable {
    package let folder: String
    /// Bytes.
    package var limit = 8 << 20
    /// Bytes that are kept of a log that was cut.
    package var kept = 1 << 20
    /// Logs of ended workers that stay, for each endpoint.
    package var newest = 20

    package init(folder: String) { self.folder = folder }

    /// A log for a worker to be: `log` is its descriptor, above 2, closed on exec.
    func create(_ worker: WorkerID, _ endpoint: EndpointID) throws(ProviderError) -> (log: Int32, path: String) {
        guard worker.text.isURLName, endpoint.text.isURLName else { throw ProviderError("'\(endpoint)/\(worker)' cannot name a log file") }
        let place = "\(folder)/\(endpoint)"
        for directory in [folder, place] where mkdir(directory, 0o700) != 0 && errno != EEXIST {
            throw ProviderError("the folder for worker logs \(directory) cannot be made: \(SystemError.text(errno))")
        }
        let path = "\(place)/\(worker).log"
        unlink(path)
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw ProviderError("the worker's log \(path) cannot be made: \(SystemError.text(errno))") }
        guard file <= 2 else { return (file, path) }
        let higher = fcntl(file, F_DUPFD_CLOEXEC, 3)
        close(file)
        guard higher >= 0 else { throw ProviderError("the worker's log \(path) cannot be opened: \(SystemError.text(errno))") }
        return (higher, path)
    }

    /// Gives a log the name by which its process is found again.
    func name(_ path: String, for process: ProcessIdentity) -> String {
        guard path.hasSuffix(".log") else { return path }
        let named = path.dropLast(4) + ".\(process.pid)-\(process.startTime).log"
        return rename(path, String(named)) == 0 ? String(named) : path
    }

    package func find(_ process: ProcessIdentity) -> String? {
        let ending = ".\(process.pid)-\(process.startTime).log"
        for endpoint in Self.entries(folder) where endpoint.isURLName {
            if let name = Self.entries("\(folder)/\(endpoint)").first(where: { $0.hasSuffix(ending) }) { return "\(folder)/\(endpoint)/\(name)" }
        }
        return nil
    }

    /// Cuts a log that has grown too long.
    func cap(_ path: String) {
        guard let size = Self.size(path), size > limit else { return }
        let tail = Self.tail(path, kept)
        let old = open(path + ".old", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if old >= 0 {
            var written = 0
            while written < tail.count {
                let count = tail[written...].withUnsafeBytes { write(old, $0.baseAddress, $0.count) }
                if count <= 0 { break }
                written += count
            }
            close(old)
        }
        truncate(path, 0)
    }

    /// The last lines, without colour codes and control characters.
    func lastLines(_ path: String, _ count: Int) -> String? {
        guard Self.size(path) != nil, count > 0 else { return nil }
        let window = 64 << 10
        var bytes = Self.tail(path, window)
        if bytes.count < window { bytes = Self.tail(path + ".old", window - bytes.count) + bytes }
        return TerminalText.plain(String(decoding: bytes, as: UTF8.self)).split(separator: "\n").suffix(count).joined(separator: "\n")
    }

    /// Removes the oldest logs of a log's folder beyond `newest`, those of living processes aside.
    func prune(beside path: String) {
        guard let slash = path.lastIndex(of: "/") else { return }
        let place = String(path[..<slash])
        var logs: [(changed: Int, name: String)] = []
        for name in Self.entries(place) where name.hasSuffix(".log") {
            var status = stat()
            guard lstat("\(place)/\(name)", &status) == 0 else { continue }
            logs.append((Int(status.st_mtim.tv_sec), name))
        }
        for (_, name) in logs.sorted(by: { ($1.changed, $1.name) < ($0.changed, $0.name) }).dropFirst(newest) {
            let mark = name.dropLast(4).split(separator: ".").last ?? ""
            if ProcessIdentity(String(mark.replacing("-", with: ":")))?.isAlive == true { continue }
            unlink("\(place)/\(name)")
            unlink("\(place)/\(name).old")
        }
    }

    private static func size(_ path: String) -> Int? {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : nil
    }

    private static func tail(_ path: String, _ count: Int) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0, count > 0 else { return [] }
        defer { close(file) }
        let size = lseek(file, 0, SEEK_END)
        var position = max(0, size - count), bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count < count {
            let got = pread(file, &buffer, min(buffer.count, count - bytes.count), position)
            if got <= 0 { break }
            bytes += buffer[..<got]
            position += got
        }
        return bytes
    }

    private static func entries(_ folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }
}
