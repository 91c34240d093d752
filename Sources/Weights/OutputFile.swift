#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A file being written under a temporary name, so that nobody ever sees half of it. `finish()` gives it its name; without that it is
/// removed.
struct OutputFile: ~Copyable {
    private let path: String
    private let temporaryPath: String
    private let descriptor: Int32
    private var isFinished = false

    init(path: String) throws(LoadError) {
        self.path = path
        temporaryPath = path + ".partial"
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .file(path: temporaryPath, reason: "cannot be written: \(String(cString: strerror(errno)))") }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(LoadError) {
        var rest = bytes[...]
        while let base = UnsafeRawBufferPointer(rebasing: rest).baseAddress, !rest.isEmpty {
            #if canImport(Glibc)
            let written = Glibc.write(descriptor, base, rest.count)
            #elseif canImport(Musl)
            let written = Musl.write(descriptor, base, rest.count)
            #else
            let written = Darwin.write(descriptor, base, rest.count)
            #endif
            if written < 0 {
                if errno == EINTR { continue }
                throw .file(path: temporaryPath, reason: "cannot be written: \(String(cString: strerror(errno)))")
            }
            rest = rest.dropFirst(written)
        }
    }

    mutating func finish() throws(LoadError) {
        guard fsync(descriptor) == 0, rename(temporaryPath, path) == 0 else {
            throw .file(path: path, reason: "cannot be written: \(String(cString: strerror(errno)))")
        }
        isFinished = true
    }

    deinit {
        close(descriptor)
        if !isFinished { unlink(temporaryPath) }
    }
}
