internal import Glibc
internal import Jobs

/// A lock on a file beside the database, held as long as this value's owner lives; the kernel lets it go when the process dies.
/// Not the database file itself: closing any descriptor of it would drop SQLite's own locks.
final class FileLock: Sendable {
    private let descriptor: CInt

    init(_ path: String) throws(StoreError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .broken("cannot open '\(path)': \(String(cString: strerror(errno)))") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            var bytes = [UInt8](repeating: 0, count: 32)
            let count = pread(descriptor, &bytes, bytes.count, 0)
            Glibc.close(descriptor)
            guard reason == EWOULDBLOCK else { throw .broken("cannot lock '\(path)': \(String(cString: strerror(reason)))") }
            let holder = String(decoding: bytes.prefix(max(0, count)).prefix { $0 >= 48 && $0 < 58 }, as: UTF8.self)
            throw .broken(
                "another gateway\(holder.isEmpty ? "" : " (process \(holder))") has it open: '\(path)' is locked. "
                    + "Stop that one, give this one a file of its own, or use PostgreSQL for several gateways")
        }
        let text = Array("\(getpid())\n".utf8)
        ftruncate(descriptor, 0)
        pwrite(descriptor, text, text.count, 0)
        self.descriptor = descriptor
    }

    /// Let go expressly: a child that is being spawned has the descriptor too until it becomes another program, and closing ours would leave it locked.
    deinit {
        flock(descriptor, LOCK_UN)
        Glibc.close(descriptor)
    }
}

/// Makes the file readable by its owner alone, creating it where it is missing, before SQLite opens it; its journal files take the same rights.
func prepareFile(_ path: String) throws(StoreError) {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .broken("cannot open '\(path)': \(String(cString: strerror(errno)))") }
    defer { Glibc.close(descriptor) }
    guard fchmod(descriptor, 0o600) == 0 else { throw .broken("cannot make '\(path)' private: \(String(cString: strerror(errno)))") }
}

/// The path with links resolved, so that two names of one file have one lock.
func resolved(_ path: String) -> String {
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
}
