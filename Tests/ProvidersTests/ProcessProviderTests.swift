import Glibc
import Jobs
import Providers
import TemporaryPath
import Testing

/// A folder that goes away with its owner, and orders for `sh -c`.
final class ProcessPlace: Sendable {
    let folder: String
    let logs: WorkerLogs
    let provider: ProcessProvider

    init(limit: Int = 8 << 20, kept: Int = 1 << 20, newest: Int = 20) throws {
        guard let folder = temporaryFolder("needletail-providers") else { throw ProviderError("no temporary folder") }
        self.folder = folder
        var logs = WorkerLogs(folder: folder + "/workers")
        (logs.limit, logs.kept, logs.newest) = (limit, kept, newest)
        self.logs = logs
        provider = ProcessProvider(logs)
    }

    deinit {
        var pid = pid_t()
        let words: [String] = ["rm", "-rf", folder]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { word in strdup(word) }
        arguments.append(nil)
        if posix_spawn(&pid, "/bin/rm", nil, nil, &arguments, nil) == 0 { waitpid(pid, nil, 0) }
        for argument in arguments { free(argument) }
    }

    func order(_ command: [String], _ environment: [(name: String, value: String)] = [], directory: String? = nil, id: WorkerID = .make()) -> WorkerOrder {
        var definition = ProviderDefinition(.process)
        definition.workingDirectory = directory
        return WorkerOrder(worker: id, endpoint: EndpointID("smol"), command: command, environment: environment, definition: definition)
    }

    func shell(_ script: String, _ environment: [(name: String, value: String)] = []) async throws -> String {
        try await provider.start(order(["sh", "-c", script], environment))
    }

    /// Waits until `found` has an answer, 20 s at most.
    func until<Value>(_ found: () async -> Value?) async throws -> Value {
        for _ in 0..<2000 {
            if let value = await found() { return value }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw ProviderError("it did not happen in 20 s")
    }

    func ended(_ handle: String) async throws -> (reason: String, succeeded: Bool) {
        try await until {
            if case .ended(let reason, let succeeded)? = await self.provider.states([handle])[handle] { (reason, succeeded) } else { nil }
        }
    }

    func output(_ handle: String, has text: String) async throws -> String {
        try await until {
            let output = await self.provider.lastOutput(handle, lines: 100)
            return output?.contains(text) == true ? output : nil
        }
    }
}

@Suite struct ProcessProviderTests {
    @Test func runsAndTellsTheExitCode() async throws {
        let place = try ProcessPlace()
        let handle = try await place.shell("echo one; echo two >&2; exit 3")
        let end = try await place.ended(handle)
        #expect(end.reason == "exit code 3" && !end.succeeded)
        #expect(await place.provider.lastOutput(handle, lines: 10) == "one\ntwo")
        #expect(await place.provider.lastOutput(handle, lines: 1) == "two")
        let good = try await place.shell("exit 0")
        #expect(try await place.ended(good) == ("exit code 0", true))
    }

    @Test func passesArgumentsAndValuesAsTheyAre() async throws {
        let place = try ProcessPlace()
        let hostile = ["a b", "'; touch \(place.folder)/owned; '", "$(id)", "`id`", "\"", "\\", "*", "line\nbreak", "", "ü"]
        let order = place.order(["sh", "-c", #"printf '<%s>' "$@"; printf '[%s]' "$X"; echo"#, "sh"] + hostile, [("X", "$(id) 'y' \"z\"")])
        let handle = try await place.provider.start(order)
        _ = try await place.ended(handle)
        let expected = hostile.map { "<\($0)>" }.joined() + "[$(id) 'y' \"z\"]"
        #expect(await place.provider.lastOutput(handle, lines: 10) == expected)
        #expect(access(place.folder + "/owned", F_OK) != 0)
    }

    @Test func inheritsNoSecretsDescriptorsOrSignals() async throws {
        let place = try ProcessPlace()
        setenv("NEEDLETAIL_TEST_SECRET", "postgres://user:password@host/", 1)
        // Not closed on exec, as a library might open it.
        let leak = open(place.folder + "/leak", O_RDWR | O_CREAT, 0o600)
        defer { close(leak) }
        let script = "env; ls -l /proc/self/fd; grep -E '^Sig(Blk|Ign)' /proc/self/status; cut -d' ' -f1,6 /proc/self/stat; echo pid $$"
        let handle = try await place.shell(script, [("A", "first"), ("A", "last"), ("LANG", "C.UTF-8")])
        _ = try await place.ended(handle)
        let output = try #require(await place.provider.lastOutput(handle, lines: 100))
        #expect(!output.contains("NEEDLETAIL_TEST_SECRET") && !output.contains("password"))
        #expect(!output.contains("leak"))
        #expect(output.contains("A=last") && !output.contains("A=first") && output.contains("LANG=C.UTF-8"))
        #expect(output.contains("0 -> /dev/null"))
        #expect(output.contains("SigBlk:\t0000000000000000"), "\(output)")
        // 32 and 33 are glibc's own; it sets them itself.
        #expect(output.contains("SigIgn:\t0000000000000000") || output.contains("SigIgn:\t0000000180000000"), "\(output)")
        let names = output.split(separator: "\n").prefix { !$0.hasPrefix("total") }.compactMap { $0.split(separator: "=").first.map(String.init) }
        #expect(Set(names).isSubset(of: ProcessEnvironment.passedOn.union(["A", "PWD", "OLDPWD", "SHLVL", "_"])), "\(names)")
        // The session is its own.
        let pid = handle.split(separator: ":")[0]
        #expect(output.contains("pid \(pid)") && output.split(separator: "\n").contains { $0.hasSuffix(" \(pid)") && !$0.hasPrefix("pid") })
    }

    @Test func logsAreTheOwnersOnly() async throws {
        let place = try ProcessPlace()
        let handle = try await place.shell("echo hello")
        _ = try await place.ended(handle)
        let path = try #require(ProcessIdentity(handle).flatMap(place.logs.find))
        let modes = try await place.shell("stat -c %a \(path) \(place.logs.folder)")
        _ = try await place.ended(modes)
        #expect(await place.provider.lastOutput(modes, lines: 5) == "600\n700")
    }

    @Test func anEndIsNoticedAtOnceWithItsSignal() async throws {
        let place = try ProcessPlace()
        var exits = place.provider.exits().makeAsyncIterator()
        let handle = try await place.shell("echo up; exec sleep 1000")
        _ = try await place.output(handle, has: "up")
        let pid = try #require(ProcessIdentity(handle)?.pid)
        let start = ContinuousClock.now
        kill(pid, SIGKILL)
        #expect(await exits.next() == handle)
        #expect(ContinuousClock.now - start < .seconds(1))
        let end = try await place.ended(handle)
        #expect(end.reason.hasPrefix("killed by signal 9 (KILL)") && end.reason.contains("out of memory") && !end.succeeded)
    }

    @Test func stopsGently() async throws {
        let place = try ProcessPlace()
        let handle = try await place.shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")
        _ = try await place.output(handle, has: "up")
        await place.provider.stop(handle, graceSeconds: 30)
        #expect(try await place.ended(handle) == ("exit code 0", true))
        #expect(await place.provider.lastOutput(handle, lines: 1) == "bye")
    }

    @Test func killsTheGroupAfterTheGrace() async throws {
        let place = try ProcessPlace()
        let handle = try await place.shell("trap '' TERM; (while :; do sleep 0.05; done) & echo child $!; while :; do sleep 0.05; done")
        let output = try await place.output(handle, has: "child ")
        let child = try #require(output.split(separator: " ").last.flatMap { pid_t($0.split(separator: "\n")[0]) })
        await place.provider.stop(handle, graceSeconds: 1)
        let end = try await place.ended(handle)
        #expect(end.reason.contains("did not end within its grace") && !end.succeeded)
        try await place.until { ProcessEntry(child).map(\.isZombie) ?? true ? () : nil }
    }

    /// The Python SDK's child that pings outlives its parent otherwise.
    @Test func whatAProcessLeavesBehindIsKilled() async throws {
        let place = try ProcessPlace()
        let handle = try await place.shell("sleep 1000 & echo child $!; exit 0")
        _ = try await place.ended(handle)
        let output = try #require(await place.provider.lastOutput(handle, lines: 1))
        let child = try #require(output.split(separator: " ").last.flatMap { pid_t($0) })
        try await place.until { ProcessEntry(child).map(\.isZombie) ?? true ? () : nil }
    }

    /// A gateway that was started again: the process is no child of the provider's, its log is found by the handle.
    @Test func adoptsAfterARestart() async throws {
        let place = try ProcessPlace()
        let starter = try await place.shell("setsid sh -c 'echo up >&3; sleep 1000 & exec sleep 1000' 3>&1 & echo pid $!; sleep 1000")
        let output = try await place.output(starter, has: "up")
        let line = try #require(output.split(separator: "\n").first { $0.hasPrefix("pid ") })
        let pid = try #require(pid_t(line.dropFirst(4)))
        let entry = try #require(ProcessEntry(pid))
        try #require(entry.session == pid)
        let handle = ProcessIdentity(pid: pid, startTime: entry.startTime).description
        let second = ProcessProvider(place.logs)
        #expect(await second.states([handle, starter]) == [handle: .running, starter: .running])
        #expect(await second.lastOutput(starter, lines: 5)?.contains("up") == true)
        var exits = second.exits().makeAsyncIterator()
        await second.stop(handle, graceSeconds: 20)
        #expect(await exits.next() == handle)
        guard case .ended(let reason, true)? = await second.states([handle])[handle] else {
            Issue.record("not ended")
            return
        }
        #expect(reason.contains("as asked"))
        // Its own child, in the same session, is gone too.
        try await place.until { ProcessEntry.hasMembers(session: pid) ? nil : () }
        await place.provider.stop(starter, graceSeconds: 0)
        _ = try await place.ended(starter)
        // What ended before anybody asked is over, reason unknown.
        let third = ProcessProvider(place.logs)
        #expect(await third.states([starter]) == [starter: .missing])
    }

    @Test func anotherProcessWithTheSameIdIsNotTakenForIt() async throws {
        let place = try ProcessPlace()
        let handle = try await place.shell("echo up; exec sleep 1000")
        _ = try await place.output(handle, has: "up")
        let process = try #require(ProcessIdentity(handle))
        let other = "\(process.pid):\(process.startTime &- 1)"
        await place.provider.stop(other, graceSeconds: 0)
        let wrong = [other, "", "1:1", "-5:3", "0:0", "x", "99999999999:1", "5", "5:6:7"]
        let states = await place.provider.states(wrong + [handle])
        for handle in wrong { #expect(states[handle] == .missing, "\(handle)") }
        #expect(states[handle] == .running)
        await place.provider.stop(handle, graceSeconds: 0)
        _ = try await place.ended(handle)
    }

    @Test func aLogStaysBounded() async throws {
        let place = try ProcessPlace(limit: 32 << 10, kept: 4 << 10)
        let handle = try await place.shell("i=0; while :; do i=$((i+1)); echo line $i of a worker that never stops writing; done")
        let path = try #require(ProcessIdentity(handle).flatMap(place.logs.find))
        func size(_ path: String) -> Int? {
            let file = open(path, O_RDONLY)
            defer { close(file) }
            return file < 0 ? nil : Int(lseek(file, 0, SEEK_END))
        }
        var cuts = 0, last = 0
        try await place.until {
            let now = size(path) ?? 0
            if now < last { cuts += 1 }
            last = now
            return cuts >= 3 ? () : nil
        }
        #expect((size(path + ".old") ?? .max) <= 4 << 10)
        let output = try #require(await place.provider.lastOutput(handle, lines: 5))
        #expect(output.split(separator: "\n").count == 5)
        await place.provider.stop(handle, graceSeconds: 0)
        _ = try await place.ended(handle)
    }

    @Test func forgetsAllButTheNewestLogs() async throws {
        let place = try ProcessPlace(newest: 2)
        let living = try await place.shell("exec sleep 1000")
        for _ in 0..<4 {
            let handle = try await place.shell("echo x")
            _ = try await place.ended(handle)
            await place.provider.forget(handle)
            #expect(await place.provider.states([handle])[handle] == .missing)
        }
        await place.provider.forget(living)
        #expect(await place.provider.states([living])[living] == .running)
        #expect(ProcessIdentity(living).flatMap(place.logs.find) != nil)
        let count = try await place.shell("ls \(place.logs.folder)/smol | wc -l")
        _ = try await place.ended(count)
        // Two, the living one (unless it is among them) and that of `ls` itself.
        #expect(["3", "4"].contains(await place.provider.lastOutput(count, lines: 1)))
        await place.provider.stop(living, graceSeconds: 0)
        _ = try await place.ended(living)
    }

    @Test(arguments: [
        (["no-such-program-here"], "is in no folder of PATH"), (["/no/such/file"], "does not exist"), (["/etc/passwd"], "cannot be executed"),
        (["/tmp"], "is no file"), ([""], "is empty"), (["sh", "a\0b"], "zero byte"),
    ])
    func refusesWhatCannotRun(_ command: [String], _ message: String) async throws {
        let place = try ProcessPlace()
        let error = await #expect(throws: ProviderError.self) {
            try await place.provider.start(place.order(command, [("RUNPOD_AI_API_KEY", "very-secret")]))
        }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("very-secret") == false && error?.isCapacity == false)
    }

    @Test func refusesBadEnvironmentsAndFolders() async throws {
        let place = try ProcessPlace()
        for (name, value) in [("A=B", "x"), ("", "x"), ("1A", "x"), ("A", "very-secret\0")] {
            let error = await #expect(throws: ProviderError.self) { try await place.provider.start(place.order(["true"], [(name, value)])) }
            #expect(error?.description.contains("very-secret") == false)
        }
        await #expect(throws: ProviderError.self) { try await place.provider.start(place.order(["true"], directory: "/no/such/folder")) }
        await #expect(throws: ProviderError.self) { try await place.provider.start(place.order(["true"], id: WorkerID("../../x"))) }
        let handle = try await place.provider.start(place.order(["pwd"], directory: "/usr"))
        _ = try await place.ended(handle)
        #expect(await place.provider.lastOutput(handle, lines: 1) == "/usr")
    }
}
