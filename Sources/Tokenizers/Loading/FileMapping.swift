#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A plain file, mapped for reading as long as this lives.
final class FileMapping: @unchecked Sendable {
    /// Never written to.
    let bytes: UnsafeRawBufferPointer
    /// Whether nobody but us (or root) could have written it.
    let isOurs: Bool

    init(_ path: String, limit: Int) throws(TokenizerError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .unreadable(path: path, reason: String(cString: strerror(errno))) }
        defer { close(file) }
        var info = stat()
        guard fstat(file, &info) == 0, info.st_mode & S_IFMT == S_IFREG else { throw .unreadable(path: path, reason: "it is not a file") }
        let size = Int(info.st_size)
        guard size > 0 else { throw .unreadable(path: path, reason: "it is empty") }
        guard size <= limit, let map = mmap(nil, size, PROT_READ, MAP_PRIVATE, file, 0), map != MAP_FAILED else {
            throw .unreadable(path: path, reason: "it cannot be mapped")
        }
        bytes = UnsafeRawBufferPointer(start: map, count: size)
        isOurs = (info.st_uid == geteuid() || info.st_uid == 0) && info.st_mode & (S_IWGRP | S_IWOTH) == 0
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }
}
