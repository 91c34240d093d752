internal import Glibc

/// How a process ended, in words.
struct ProcessExit: Sendable, Equatable {
    let reason: String
    let succeeded: Bool

    /// Of a child of ours.
    /// - Parameters:
    ///   - status: as `waitpid` gives it.
    ///   - wasAsked: we sent SIGTERM. wasKilled: we sent SIGKILL after the grace.
    init(waitStatus status: Int32, wasAsked: Bool, wasKilled: Bool) {
        let signal = status & 0x7F
        if signal == 0 {
            let code = (status >> 8) & 0xFF
            reason = "exit code \(code)"
            succeeded = code == 0
            return
        }
        var text = "killed by signal \(signal)" + (Self.names[signal].map { " (\($0))" } ?? "")
        if signal == SIGKILL {
            text += wasKilled ? ": it did not end within its grace" : "; the gateway did not send it: the system may have been out of memory"
        }
        reason = text
        succeeded = wasAsked && signal == SIGTERM
    }

    /// Of a process that another gateway started: only its parent learns the exit code.
    init(adoptedWasAsked wasAsked: Bool, wasKilled: Bool) {
        reason =
            wasKilled
            ? "killed by signal 9 (KILL): it did not end within its grace"
            : wasAsked ? "ended as asked (exit code not known: started before the gateway)" : "ended (exit code not known: started before the gateway)"
        succeeded = wasAsked && !wasKilled
    }

    private static let names: [Int32: String] = [
        SIGHUP: "HUP", SIGINT: "INT", SIGQUIT: "QUIT", SIGILL: "ILL", SIGTRAP: "TRAP", SIGABRT: "ABRT", SIGBUS: "BUS", SIGFPE: "FPE", SIGKILL: "KILL",
        SIGSEGV: "SEGV", SIGPIPE: "PIPE", SIGALRM: "ALRM", SIGTERM: "TERM", SIGUSR1: "USR1", SIGUSR2: "USR2", SIGXCPU: "XCPU", SIGXFSZ: "XFSZ",
        SIGSYS: "SYS",
    ]
}
