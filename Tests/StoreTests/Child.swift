import Glibc
import Jobs
import Synchronization

/// A process of a test's own, with its output in a file.
struct Child {
    let pid: pid_t

    /// In a process group of its own, so that `kill` gets its children too.
    init(_ arguments: [String], output: String = "/dev/null") throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Threads of the concurrency pool block signals, which a child would inherit.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))
        var argv = arguments.map { strdup($0) } + [nil]
        defer { for pointer in argv { free(pointer) } }
        var pid = pid_t()
        let status = posix_spawn(&pid, arguments[0], &actions, &attributes, &argv, environ)
        guard status == 0 else { throw StoreError.broken("cannot run \(arguments[0]): \(String(cString: strerror(status)))") }
        self.pid = pid
    }

    func kill(_ signal: CInt) { Glibc.kill(-pid, signal) }

    /// Waits for its end; exit status, or 128 and the signal.
    func wait() -> Int {
        var status: CInt = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? Int(status >> 8) & 0xFF : 128 + Int(status & 0x7F)
    }

    @discardableResult
    static func runToEnd(_ arguments: [String]) throws -> Int { try Child(arguments).wait() }

    static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// The folder of the running tests, where other products lie too.
    static var products: String {
        guard let path = realpath("/proc/self/exe", nil) else { return "." }
        defer { free(path) }
        return String(String(cString: path).split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/"))
    }

    static func isThere(_ path: String) -> Bool { access(path, R_OK) == 0 }

    /// The whole lines of a file so far.
    static func lines(_ path: String) -> [String] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        let end = bytes.lastIndex(of: 10) ?? 0
        return bytes[..<end].split(separator: 10).map { String(decoding: $0, as: UTF8.self) }
    }
}

/// Tries until it holds; what is waited for happens in other processes, which send no event.
func eventually(_ seconds: Double = 30, _ condition: () async throws -> Bool) async throws -> Bool {
    let end = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < end {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(20))
    }
    return false
}

/// What tasks of a test share.
final class Progress: Sendable {
    let isOver = Atomic<Bool>(false)
    let doneCount = Atomic<Int>(0)
}
