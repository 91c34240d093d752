#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Why a file could not be opened.
package struct FileError: Error, Sendable, Equatable, CustomStringConvertible {
    package let path: String
    package let reason: String

    package var description: String { "\(path): \(reason)" }
}

/// A whole file mapped read-only. A class, because many tensor views keep one mapping alive; the last one to go unmaps it.
///
/// The pages are the file's: a file that another process cuts short while it is mapped ends this one with SIGBUS, as with every engine
/// that maps its weights.
///
/// `@unchecked Sendable`: all fields are constants and the bytes are never written.
package final class MappedFile: @unchecked Sendable {
    package let path: String
    /// The file's content; valid while this object lives, so never take it from a temporary: `withUnsafeBytes` is for that. Never empty.
    package let bytes: UnsafeRawBufferPointer
    private let mapping: UnsafeMutableRawBufferPointer
    private let isInMemory: Bool

    package var byteCount: Int { bytes.count }

    /// Lends the content and keeps it mapped meanwhile.
    package func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(self) {} }
        return try body(bytes)
    }

    /// Maps the regular file at `path` (links are followed).
    package init(path: String) throws(FileError) {
        // Non-blocking, so that a pipe in place of a file is refused instead of waited for.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileError(path: path, reason: Self.reason(errno)) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError(path: path, reason: Self.reason(errno)) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw FileError(path: path, reason: "is a directory, not a file")
        default: throw FileError(path: path, reason: "is not a regular file")
        }
        guard status.st_size > 0 else { throw FileError(path: path, reason: "is empty") }
        guard let size = Int(exactly: status.st_size) else { throw FileError(path: path, reason: "is too large to map") }
        let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let address, address != UnsafeMutableRawPointer(bitPattern: -1) else {
            throw FileError(path: path, reason: "cannot be mapped: \(Self.reason(errno))")
        }
        self.path = path
        mapping = UnsafeMutableRawBufferPointer(start: address, count: size)
        bytes = UnsafeRawBufferPointer(mapping)
        isInMemory = false
    }

    /// A file that exists in memory only, for tests and fuzzing. Its last byte is the last of a page and the page after it is locked, so
    /// that reading past the end ends the process instead of going unseen.
    package init(contents: UnsafeRawBufferPointer, name: String) throws(FileError) {
        guard contents.count > 0 else { throw FileError(path: name, reason: "is empty") }
        let page = Self.pageSize
        let room = (contents.count + page - 1) / page * page
        let address = mmap(nil, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let address, address != UnsafeMutableRawPointer(bitPattern: -1) else {
            throw FileError(path: name, reason: "cannot be mapped: \(Self.reason(errno))")
        }
        let start = address + (room - contents.count)
        UnsafeMutableRawBufferPointer(start: start, count: contents.count).copyMemory(from: contents)
        mprotect(address, room, PROT_READ)
        mprotect(address + room, page, PROT_NONE)
        path = name
        mapping = UnsafeMutableRawBufferPointer(start: address, count: room + page)
        bytes = UnsafeRawBufferPointer(start: start, count: contents.count)
        isInMemory = true
    }

    deinit { munmap(mapping.baseAddress, mapping.count) }

    private static var pageSize: Int { max(Int(sysconf(Int32(_SC_PAGESIZE))), 1) }

    /// What is about to happen to a part of the file.
    package enum Advice: Sendable { case willNeed, dontNeed, sequential, random, normal }

    /// Tells the kernel how `range` (bytes, cut to the file) will be used. Only a hint: nothing fails, contents never change.
    package func advise(_ advice: Advice, _ range: Range<Int>? = nil) {
        guard !isInMemory, let base = bytes.baseAddress else { return }
        let range = (range ?? 0..<bytes.count).clamped(to: 0..<bytes.count)
        let start = range.lowerBound & ~(Self.pageSize - 1)
        guard !range.isEmpty else { return }
        let value =
            switch advice {
            case .willNeed: MADV_WILLNEED
            case .dontNeed: MADV_DONTNEED
            case .sequential: MADV_SEQUENTIAL
            case .random: MADV_RANDOM
            case .normal: MADV_NORMAL
            }
        _ = madvise(UnsafeMutableRawPointer(mutating: base + start), range.upperBound - start, Int32(value))
    }

    private static func reason(_ code: Int32) -> String {
        switch code {
        case ENOENT: "no such file"
        case EACCES: "permission denied"
        case ENOTDIR: "a part of the path is not a directory"
        case ELOOP: "too many links"
        default: String(cString: strerror(code))
        }
    }
}
