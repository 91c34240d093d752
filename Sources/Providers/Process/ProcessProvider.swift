internal import CSpawn
internal import Glibc
internal import NIOPosix
internal import Jobs

/// Workers as processes of this machine, each the leader of a session of its own, so that they outlive the gateway.
///
/// The handle is `PID:STARTTIME`. After a restart, `states` finds processes again by it and watches them like those it started itself; only
/// their exit codes are then not to be had.
package final class ProcessProvider: WorkerProvider {
    private let logs: WorkerLogs
    private let table: ProcessTable

    /// - Parameter folder: for the workers' output; made if it is not there. Its parent must exist.
    package convenience init(folder: String) { self.init(WorkerLogs(folder: folder)) }

    package init(_ logs: WorkerLogs) {
        self.logs = logs
        table = ProcessTable(logs)
    }

    /// Handles of processes as they end, within about 50 ms: each once, for those ordered by this provider or asked about since.
    package func exits() -> AsyncStream<String> { table.exits() }

    package func start(_ order: WorkerOrder) async throws(ProviderError) -> String {
        // Files and posix_spawn (which waits for the exec) block for a moment.
        let result: Result<String, ProviderError>
        do {
            result = try await NIOThreadPool.singleton.runIfActive { [self] in
                Result { () throws(ProviderError) in try spawn(order) }
            }
        } catch {
            throw ProviderError("a worker cannot be started while the program ends")
        }
        return try result.get()
    }

    package func stop(_ handle: String, graceSeconds: Int) async {
        adopt(handle)
        table.stop(handle, graceSeconds: graceSeconds)
    }

    package func states(_ handles: [String]) async -> [String: ProviderState] {
        var states: [String: ProviderState] = [:]
        for handle in handles {
            adopt(handle)
            states[handle] =
                switch table.watched(handle) {
                case nil: .missing
                case let watched?: watched.exit.map { .ended(reason: $0.reason, succeeded: $0.succeeded) } ?? .running
                }
        }
        return states
    }

    package func lastOutput(_ handle: String, lines: Int) async -> String? {
        let known = table.watched(handle)?.log
        return try? await NIOThreadPool.singleton.runIfActive { [logs] in
            (known ?? ProcessIdentity(handle).flatMap(logs.find)).flatMap { logs.lastLines($0, lines) }
        }
    }

    package func forget(_ handle: String) async {
        let known = table.watched(handle)?.log
        table.forget(handle)
        try? await NIOThreadPool.singleton.runIfActive { [logs] in
            if let path = known ?? ProcessIdentity(handle).flatMap(logs.find) { logs.prune(beside: path) }
        }
    }

    /// Watches a process that an earlier gateway started, if it lives.
    private func adopt(_ handle: String) {
        guard table.watched(handle) == nil, let process = ProcessIdentity(handle), process.isAlive else { return }
        table.watch(process, log: logs.find(process))
    }

    private func spawn(_ order: WorkerOrder) throws(ProviderError) -> String {
        let environment = try ProcessEnvironment.merge(order.environment)
        let directory = order.definition.workingDirectory
        if let directory {
            var status = stat()
            guard stat(directory, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                throw ProviderError("the worker's working directory \(directory) does not exist or is no folder")
            }
        }
        let program = try ProcessEnvironment.program(order.command.first ?? "", path: environment["PATH"] ?? "", directory: directory)
        guard order.command.allSatisfy({ !$0.utf8.contains(0) }) else { throw ProviderError("an argument of the worker's command holds a zero byte") }
        let (log, path) = try logs.create(order.worker, order.endpoint)
        defer { Glibc.close(log) }

        var arguments: [UnsafeMutablePointer<CChar>?] = order.command.map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in arguments + variables { free(pointer) } }
        var pid = pid_t()
        let code = nt_spawn(program, &arguments, &variables, directory, log, &pid)
        guard code == 0 else {
            unlink(path)
            throw ProviderError("the worker's program \(program) cannot be started: \(SystemError.text(code))", isCapacity: code == EAGAIN || code == ENOMEM)
        }
        // Only we reap it, so the entry is there even if it has ended already.
        guard let entry = ProcessEntry(pid) else {
            kill(-pid, SIGKILL)
            throw ProviderError("/proc/\(pid)/stat cannot be read: processes need a mounted /proc that shows them")
        }
        let process = ProcessIdentity(pid: pid, startTime: entry.startTime)
        table.watch(process, log: logs.name(path, for: process))
        return process.description
    }
}
