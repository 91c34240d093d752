internal import Glibc
internal import Synchronization

/// Worker processes that are watched. While there are any, a thread looks at them every 50 ms; without any there is no thread.
///
/// All that is known about a process changes under the lock, and a child is reaped under it too: no signal can reach a process that got the
/// id of one that is gone.
final class ProcessTable: Sendable {
    struct Watched: Sendable {
        let process: ProcessIdentity
        /// Where its output goes, if that is known.
        let log: String?
        /// When it is killed, if it has not ended by then.
        var killAt: ContinuousClock.Instant?
        var wasAsked = false
        /// When SIGTERM is sent, the first time or again: one that came at a bad moment must not cost the whole grace.
        var termAt: ContinuousClock.Instant?
        var wasKilled = false
        var exit: ProcessExit?
    }

    private struct State {
        var processes: [String: Watched] = [:]
        var listeners: [Int: AsyncStream<String>.Continuation] = [:]
        var nextListener = 0
        var isWatching = false
    }

    static let tickMicroseconds: UInt32 = 50_000
    static let termInterval = Duration.seconds(3)
    /// Logs are looked at once a second.
    private static let ticksPerLogLook = 20

    private let state = Mutex(State())
    private let logs: WorkerLogs

    init(_ logs: WorkerLogs) { self.logs = logs }

    func watch(_ process: ProcessIdentity, log: String?) {
        let isFirst = state.withLock { state in
            if state.processes[process.description] == nil { state.processes[process.description] = Watched(process: process, log: log) }
            defer { state.isWatching = true }
            return !state.isWatching
        }
        guard isFirst else { return }
        startThread { [self] in
            var turn = 0
            while tick(capsLogs: turn % Self.ticksPerLogLook == 0) {
                usleep(Self.tickMicroseconds)
                turn += 1
            }
        }
    }

    func watched(_ handle: String) -> Watched? { state.withLock { $0.processes[handle] } }

    func forget(_ handle: String) {
        state.withLock { state in
            if state.processes[handle]?.exit != nil { state.processes[handle] = nil }
        }
    }

    /// Sends SIGTERM, and has the group killed after the grace. Asked again, only an earlier end counts.
    func stop(_ handle: String, graceSeconds: Int) {
        state.withLock { state in
            guard let watched = state.processes[handle], watched.exit == nil else { return }
            let deadline = ContinuousClock.now + .seconds(max(0, graceSeconds))
            state.processes[handle]?.killAt = min(watched.killAt ?? deadline, deadline)
            state.processes[handle]?.wasAsked = true
            if graceSeconds > 0, !watched.wasAsked {
                if watched.process.isAlive { kill(watched.process.pid, SIGTERM) }
                state.processes[handle]?.termAt = ContinuousClock.now + Self.termInterval
            }
        }
    }

    /// Handles of processes that end, from now on.
    func exits() -> AsyncStream<String> {
        let (stream, continuation) = AsyncStream.makeStream(of: String.self)
        let key = state.withLock { state in
            defer { state.nextListener += 1 }
            state.listeners[state.nextListener] = continuation
            return state.nextListener
        }
        continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.listeners[key] = nil } }
        return stream
    }

    /// - Returns: whether there is anything left to watch; if not, the thread ends.
    private func tick(capsLogs: Bool) -> Bool {
        let now = ContinuousClock.now
        let (ended, listeners, living, paths) = state.withLock { state in
            var ended: [String] = [], paths: [String] = [], living = 0
            for (handle, watched) in state.processes where watched.exit == nil {
                var watched = watched
                Self.look(&watched, now)
                if watched.exit == nil { living += 1 } else { ended.append(handle) }
                if capsLogs || watched.exit != nil, let log = watched.log { paths.append(log) }
                state.processes[handle] = watched
            }
            if living == 0 { state.isWatching = false }
            return (ended, Array(state.listeners.values), living, paths)
        }
        for handle in ended { for listener in listeners { listener.yield(handle) } }
        for path in paths { logs.cap(path) }
        return living > 0
    }

    /// Whether the process is a child of ours that has not ended: until it is reaped, its id is nobody else's. One call instead of a file to be read.
    private static func hasRunningChild(_ pid: pid_t) -> Bool {
        var info = siginfo_t()
        return waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_signo == 0
    }

    /// Notices an end, carries out a kill that is due.
    private static func look(_ watched: inout Watched, _ now: ContinuousClock.Instant) {
        let pid = watched.process.pid
        let isRunningChild = hasRunningChild(pid)
        let entry = isRunningChild ? nil : ProcessEntry(pid)
        if isRunningChild || (entry.map { $0.startTime == watched.process.startTime && !$0.isZombie } ?? false) {
            if let killAt = watched.killAt, killAt <= now {
                watched.wasKilled = true
                if kill(-pid, SIGKILL) != 0 { kill(pid, SIGKILL) }
            } else if let termAt = watched.termAt, termAt <= now {
                watched.termAt = now + termInterval
                kill(pid, SIGTERM)
            }
            return
        }
        if let entry, entry.startTime == watched.process.startTime {
            // A zombie holds its id and its group's, so this hits what it left behind and nobody else.
            kill(-pid, SIGKILL)
            var status: Int32 = 0
            let reaped = waitpid(pid, &status, WNOHANG)
            if reaped == pid { watched.exit = ProcessExit(waitStatus: status, wasAsked: watched.wasAsked, wasKilled: watched.wasKilled) }
            // 0: its other threads are still ending. -1: it is another's child, and over.
            if reaped >= 0 { return }
        } else if entry == nil, ProcessEntry.hasMembers(session: pid) {
            // Not our child, reaped by init. An id is not given out again while a session bears it: these are its leftovers.
            kill(-pid, SIGKILL)
        }
        watched.exit = ProcessExit(adoptedWasAsked: watched.wasAsked, wasKilled: watched.wasKilled)
    }
}

/// Runs `body` on a thread of its own.
private func startThread(_ body: @escaping @Sendable () -> Void) {
    final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    let box = Unmanaged.passRetained(Box(body)).toOpaque()
    var thread = pthread_t()
    let result = pthread_create(&thread, nil, { argument in
        if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
    }, box)
    precondition(result == 0, "the system refused a thread: error \(result)")
    pthread_detach(thread)
}
