#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Exclusive lock between processes on a file of its own, by `flock`, as Python's `filelock` takes it on the same path. The file
/// stays behind: to unlink it would let two waiters lock two files of one name.
struct FileLock: ~Copyable {
    private let handle: FileHandle

    private init(_ handle: FileHandle) { self.handle = handle }

    deinit { flock(handle.descriptor, LOCK_UN) }

    /// To be called after the guarded work, so that the lock lives until there; a thrown error releases it too.
    consuming func release() {}

    /// Waits for the lock in the way of a task: asks ten times a second, and stops when the task is cancelled. File systems without
    /// `flock` give the lock to everybody; then only the check of the hash protects the blob.
    /// - Parameter onWait: called once if another process holds the lock.
    static func acquire(_ path: String, onWait: () -> Void = {}) async throws -> FileLock {
        try Files.createFolder(Files.parent(path))
        var hasWaited = false
        while true {
            try Task.checkCancellation()
            let handle = try FileHandle(path, O_RDWR | O_CREAT, "lock", mode: 0o664)
            if flock(handle.descriptor, LOCK_EX | LOCK_NB) == 0 {
                var status = stat()
                if fstat(handle.descriptor, &status) == 0, status.st_nlink > 0 { return FileLock(handle) }
                continue  // unlinked between open and lock: it guards nothing
            }
            switch errno {
            case EWOULDBLOCK, EACCES, EINTR: break
            case ENOSYS, ENOTSUP, ENOLCK: return FileLock(handle)
            default: throw Files.failure(path, "lock")
            }
            if !hasWaited { onWait() }
            hasWaited = true
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
