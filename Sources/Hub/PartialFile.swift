#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A file that is still arriving, hashed as it grows. What an earlier run left is hashed first and kept.
///
/// Used by one download task at a time, under the blob's lock.
final class PartialFile {
    let path: String
    /// Bytes of the whole file.
    let size: Int
    let handle: FileHandle
    private(set) var received = 0
    private let expected: ContentHash?
    private var hasher: ContentHasher?

    private init(_ path: String, size: Int, hash: ContentHash?) throws(HubError) {
        self.path = path
        self.size = size
        expected = hash
        hasher = hash.map { ContentHasher($0, size: size) }
        handle = try FileHandle(path, O_RDWR | O_CREAT, "write")
    }

    /// Hashing what is there takes a second or so per gigabyte; other tasks get their turn, and cancelling works meanwhile.
    static func open(_ path: String, size: Int, hash: ContentHash?) async throws -> PartialFile {
        let file = try PartialFile(path, size: size, hash: hash)
        guard let found = Files.size(path), found > 0 else { return file }
        guard found <= size else {
            try file.restart()
            return file
        }
        while file.received < found {
            try Task.checkCancellation()
            let bytes = try file.handle.read(upTo: min(1 << 20, found - file.received))
            if bytes.isEmpty { break }
            bytes.withUnsafeBytes { file.hasher?.update($0) }
            file.received += bytes.count
            await Task.yield()
        }
        return file
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(HubError) {
        do {
            try handle.write(bytes)
        } catch .diskFull(let folder, _, let free) {
            throw .diskFull(path: folder, needed: size - received, free: free)
        }
        hasher?.update(bytes)
        received += bytes.count
    }

    func restart() throws(HubError) {
        try handle.truncate(to: 0)
        received = 0
        hasher = expected.map { ContentHasher($0, size: size) }
    }

    /// The hash that was found where it is not the one expected. Without a known hash the size, checked before, must do.
    func mismatch() -> String? {
        guard let expected, let found = hasher?.finish() else { return nil }
        return found == expected.description ? nil : found
    }
}
