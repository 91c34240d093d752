#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The few file system calls that the cache needs, with errors that name the path and what was tried.
package enum Files {
    package enum Kind: Sendable, Equatable { case file, folder, other }

    /// What is there, symbolic links followed; nil for nothing, a dangling link, or a place one may not look into.
    package static func kind(_ path: String) -> Kind? {
        guard let status = status(path) else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file
        case S_IFDIR: return .folder
        default: return .other
        }
    }

    /// Size in bytes of a regular file, symbolic links followed.
    package static func size(_ path: String) -> Int? {
        guard let status = status(path), status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(status.st_size)
    }

    package static func join(_ folder: String, _ name: String) -> String {
        folder.isEmpty ? name : folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }

    /// The folder part of a path; `/` for things at the root, `.` for a bare name.
    package static func parent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    package static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        guard let pointer = getcwd(nil, 0) else { return path }
        defer { free(pointer) }
        return join(String(cString: pointer), path.hasPrefix("./") ? String(path.dropFirst(2)) : path)
    }

    package static func homeFolder() -> String? {
        guard let entry = getpwuid(getuid()), let folder = entry.pointee.pw_dir else { return nil }
        return String(cString: folder)
    }

    /// Names in a folder, sorted, without `.` and `..`.
    package static func list(_ path: String) throws(HubError) -> [String] {
        guard let stream = opendir(path) else { throw failure(path, "list") }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Paths of all files below a folder, relative to it, sorted; `depth` folders deep. Hidden names are left out.
    package static func tree(_ path: String, depth: Int = 3) throws(HubError) -> [String] {
        var result: [String] = []
        for name in try list(path) where !name.hasPrefix(".") {
            let child = join(path, name)
            switch kind(child) {
            case .file: result.append(name)
            case .folder where depth > 0: result += try tree(child, depth: depth - 1).map { "\(name)/\($0)" }
            default: break
            }
        }
        return result
    }

    /// A small file's bytes; nil where it cannot be read, or is longer than `limit` (unless the beginning will do).
    package static func contents(_ path: String, limit: Int, allowMore: Bool = false) -> [UInt8]? {
        guard let handle = try? FileHandle(path, O_RDONLY, "read") else { return nil }
        var bytes: [UInt8] = []
        while bytes.count <= limit {
            guard let part = try? handle.read(upTo: min(1 << 16, limit + 1 - bytes.count)) else { return nil }
            if part.isEmpty { return bytes }
            bytes += part
        }
        return allowMore ? Array(bytes.prefix(limit)) : nil
    }

    /// Writes so that readers see the old content or the new, never half: a file beside it, renamed.
    package static func replace(_ path: String, with bytes: [UInt8]) throws(HubError) {
        let temporary = path + ".\(randomSuffix()).tmp"
        do throws(HubError) {
            let handle = try FileHandle(temporary, O_WRONLY | O_CREAT | O_EXCL, "write")
            try bytes.withUnsafeBufferPointer { buffer throws(HubError) in try handle.write(UnsafeRawBufferPointer(buffer)) }
        } catch {
            unlink(temporary)
            throw error
        }
        try rename(temporary, path)
    }

    package static func createFolder(_ path: String) throws(HubError) {
        if kind(path) == .folder { return }
        let above = parent(path)
        if above != path, above != "." { try createFolder(above) }
        if mkdir(path, 0o777) != 0, errno != EEXIST { throw failure(path, "create the folder") }
        if kind(path) != .folder { throw .file(path: path, action: "create the folder", reason: "something else is in its place") }
    }

    package static func rename(_ from: String, _ to: String) throws(HubError) {
        #if canImport(Glibc)
        let result = Glibc.rename(from, to)
        #elseif canImport(Musl)
        let result = Musl.rename(from, to)
        #else
        let result = Darwin.rename(from, to)
        #endif
        if result != 0 { throw failure(to, "move a file to") }
    }

    package static func remove(_ path: String) { unlink(path) }

    /// A symbolic link at `path`, whatever link was there before.
    package static func link(_ path: String, to target: String) throws(HubError) {
        let temporary = path + ".\(randomSuffix()).tmp"
        if symlink(target, temporary) != 0 { throw failure(path, "create the link") }
        do {
            try rename(temporary, path)
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// Bytes that this user may still write on the file system of a folder or of its nearest existing parent; nil if unknown.
    package static func freeSpace(_ path: String) -> Int? {
        var folder = absolute(path), status = statvfs()
        while statvfs(folder, &status) != 0 {
            guard folder != "/" else { return nil }
            folder = parent(folder)
        }
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow || bytes > UInt64(Int.max) ? Int.max : Int(bytes)
    }

    static func text(of code: Int32) -> String { String(cString: strerror(code)) }

    static func failure(_ path: String, _ action: String) -> HubError {
        let code = errno
        switch code {
        case EACCES, EPERM, EROFS: return .permission(path: path, action: action)
        case ENOSPC, EDQUOT: return .diskFull(path: parent(path), needed: 0, free: freeSpace(parent(path)) ?? 0)
        default: return .file(path: path, action: action, reason: text(of: code))
        }
    }

    private static func status(_ path: String) -> stat? {
        var result = stat()
        return stat(path, &result) == 0 ? result : nil
    }

    private static func randomSuffix() -> String { String(UInt64.random(in: 0 ... .max), radix: 36) }
}

/// One open file, closed with its last owner.
final class FileHandle: Sendable {
    let path: String
    let descriptor: Int32

    /// - Parameter flags: as of `open`; new files are readable and writable as the umask allows.
    init(_ path: String, _ flags: Int32, _ action: String, mode: mode_t = 0o666) throws(HubError) {
        self.path = path
        descriptor = open(path, flags | O_CLOEXEC, mode)
        if descriptor < 0 { throw Files.failure(path, action) }
    }

    deinit { close(descriptor) }

    /// At most `count` bytes from the current place; none at the end.
    func read(upTo count: Int) throws(HubError) -> [UInt8] {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            #if canImport(Glibc)
            let got = Glibc.read(descriptor, buffer.baseAddress, count)
            #elseif canImport(Musl)
            let got = Musl.read(descriptor, buffer.baseAddress, count)
            #else
            let got = Darwin.read(descriptor, buffer.baseAddress, count)
            #endif
            failed = got < 0
            filled = max(0, got)
        }
        if failed { throw Files.failure(path, "read") }
        return bytes
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(HubError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest)
            #if canImport(Glibc)
            let count = Glibc.write(descriptor, part.baseAddress, part.count)
            #elseif canImport(Musl)
            let count = Musl.write(descriptor, part.baseAddress, part.count)
            #else
            let count = Darwin.write(descriptor, part.baseAddress, part.count)
            #endif
            if count < 0 {
                if errno == EINTR { continue }
                throw Files.failure(path, "write")
            }
            rest = rest.dropFirst(count)
        }
    }

    func truncate(to size: Int) throws(HubError) {
        if ftruncate(descriptor, off_t(size)) != 0 || lseek(descriptor, off_t(size), SEEK_SET) < 0 {
            throw Files.failure(path, "shorten")
        }
    }

    /// Until the bytes are on the disk itself, so that a rename after it never names a file with holes.
    func sync() throws(HubError) {
        if fsync(descriptor) != 0, errno != EINVAL, errno != EROFS { throw Files.failure(path, "write") }
    }
}
