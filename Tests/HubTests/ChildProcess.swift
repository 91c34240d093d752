#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif
import Hub

/// Another program, run to its end, with output and errors together.
enum ChildProcess {
    struct Outcome: Sendable {
        /// Exit status, or 128 and the signal.
        let status: Int
        let output: String
    }

    static func run(_ arguments: [String], environment: [String: String], output: String) async throws -> Outcome {
        let pid = try start(arguments, environment: environment, output: output)
        var status: Int32 = 0
        while waitpid(pid, &status, WNOHANG) == 0 { try await Task.sleep(for: .milliseconds(10)) }
        let code = status & 0x7F == 0 ? Int(status >> 8) & 0xFF : 128 + Int(status & 0x7F)
        return Outcome(status: code, output: String(decoding: Files.contents(output, limit: 1 << 20) ?? [], as: UTF8.self))
    }

    private static func start(_ arguments: [String], environment: [String: String], output: String) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        var argv = arguments.map { strdup($0) } + [nil]
        var envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid = pid_t()
        let code = posix_spawn(&pid, arguments[0], &actions, nil, &argv, &envp)
        guard code == 0 else { throw HubError.file(path: arguments[0], action: "run", reason: String(cString: strerror(code))) }
        return pid
    }

    static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}
