import Glibc
import JSON
import Jobs
import Providers
import Synchronization
import Testing

@Suite struct RayProviderTests {
    private func definition(_ address: String) -> ProviderDefinition {
        var definition = ProviderDefinition(.ray)
        definition.address = address
        return definition
    }

    private func order(_ definition: ProviderDefinition, _ command: [String] = ["python3", "/srv/my handler.py"]) -> WorkerOrder {
        WorkerOrder(
            worker: WorkerID("abc123"), endpoint: EndpointID("smol"), command: command, environment: [("RUNPOD_AI_API_KEY", "very-secret"), ("A", "b c")],
            definition: definition)
    }

    @Test func submitsTheOrder() async throws {
        let server = RecordingServer { _ in (200, ["submission_id": "needletail-abc123", "job_id": "needletail-abc123"]) }
        try await server.run { address in
            var definition = definition(address)
            let provider = try RayProvider(definition, stopGraceSeconds: 7)
            #expect(try await provider.start(order(definition)) == "needletail-abc123")
            definition.cpus = 2
            definition.gpus = 0.5
            definition.resources = [("node_a", 1)]
            _ = try await provider.start(order(definition))
            definition.cpus = nil
            _ = try await provider.start(order(definition))
            await provider.close()
        }
        let first = try JSONValue(parsing: server.requests[0].body), second = try JSONValue(parsing: server.requests[1].body)
        let third = try JSONValue(parsing: server.requests[2].body)
        #expect(server.requests[0].method == "POST" && server.requests[0].target == "/api/jobs/")
        #expect(server.requests[0].contentType == "application/json")
        #expect(first["entrypoint"]?.string == "exec python3 '/srv/my handler.py'")
        #expect(first["submission_id"]?.string == "needletail-abc123")
        let variables = first["runtime_env"]?["env_vars"]
        #expect(variables?["A"]?.string == "b c" && variables?["RUNPOD_AI_API_KEY"]?.string == "very-secret")
        #expect(variables?["RAY_JOB_STOP_WAIT_TIME_S"]?.string == "7")
        #expect(first["entrypoint_num_cpus"]?.double == 1 && first["entrypoint_num_gpus"] == nil && first["entrypoint_resources"] == nil)
        #expect(second["entrypoint_num_cpus"]?.double == 2 && second["entrypoint_num_gpus"]?.double == 0.5)
        #expect(second["entrypoint_resources"]?["node_a"]?.double == 1)
        #expect(third["entrypoint_num_cpus"] == nil)
    }

    /// Answers as a cluster of Ray 2.60 gave them.
    @Test func readsStates() async throws {
        let jobs: [String: JSONValue] = [
            "pending": ["status": "PENDING", "message": "Job has not started yet. It may be waiting for resources (CPUs, GPUs) to become available."],
            "running": ["status": "RUNNING", "message": "Job is currently running."],
            "good": ["status": "SUCCEEDED", "message": "Job finished successfully.", "driver_exit_code": 0],
            "stopped": ["status": "STOPPED", "message": "Job was intentionally stopped."],
            "bad": [
                "status": "FAILED", "driver_exit_code": 3,
                "message": "Job entrypoint command failed with exit code 3, last available logs (truncated to 20,000 chars):\none\n\u{1B}[1mtwo\u{1B}[0m\n",
            ],
            "killed": ["status": "FAILED", "driver_exit_code": -9, "message": "Job entrypoint command failed with exit code -9"],
            "node": [
                "status": "FAILED", "driver_exit_code": .null, "driver_node_id": "7144166ec57a3b3c13ca4e2e", "error_type": "JOB_SUPERVISOR_ACTOR_DIED",
                "message": "Job supervisor actor died: The actor died unexpectedly\n\tpid: 26030\nThe actor died because its node has died. Node Id: 7144",
            ],
            "odd": ["status": "MELTED"],
        ]
        let server = RecordingServer { request in
            let name = String(request.target.split(separator: "/").last ?? "")
            return name == "broken" ? (500, "Traceback\n  File\nRuntimeError: no agent\n") : jobs[name].map { (200, $0) } ?? (404, "Job does not exist")
        }
        try await server.run { address in
            let provider = try RayProvider(definition(address))
            let states = await provider.states(Array(jobs.keys) + ["gone", "broken"])
            #expect(states["pending"] == .pending(reason: "Ray: Job has not started yet. It may be waiting for resources (CPUs, GPUs) to become available."))
            #expect(states["running"] == .running)
            #expect(states["good"] == .ended(reason: "exit code 0", succeeded: true))
            #expect(states["stopped"] == .ended(reason: "stopped by Ray as asked", succeeded: true))
            #expect(states["bad"] == .ended(reason: "exit code 3", succeeded: false))
            #expect(states["killed"] == .ended(reason: "killed by signal 9", succeeded: false))
            #expect(states["node"] == .ended(reason: "the Ray node that it ran on has died (node 7144166ec57a)", succeeded: false))
            #expect(states["gone"] == .missing)
            guard case .unknown(let reason)? = states["broken"] else {
                Issue.record("\(states)")
                return
            }
            #expect(reason.contains("RuntimeError: no agent"))
            if case .unknown? = states["odd"] {} else { Issue.record("\(states)") }
            #expect(await provider.lastOutput("bad", lines: 5) == "one\ntwo")
            await provider.close()
        }
    }

    @Test func readsTheEndOfLongLogs() async throws {
        let long = (0..<20_000).map { "line \($0) \"quoted\" ü" }.joined(separator: "\n")
        let server = RecordingServer { request in
            request.target == "/api/jobs/needletail-a%2Fb/logs" ? (200, ["logs": .string(long)]) : (200, ["logs": "short\n"])
        }
        try await server.run { address in
            let provider = try RayProvider(definition(address))
            #expect(await provider.lastOutput("needletail-a/b", lines: 2) == "line 19998 \"quoted\" ü\nline 19999 \"quoted\" ü")
            #expect(await provider.lastOutput("x", lines: 2) == "short")
            await provider.close()
        }
    }

    @Test func aPendingJobThatIsStoppedIsOver() async throws {
        let server = RecordingServer { request in request.method == "POST" ? (200, ["stopped": true]) : (200, ["status": "PENDING", "message": "waits"]) }
        try await server.run { address in
            let provider = try RayProvider(definition(address))
            await provider.stop("needletail-x", graceSeconds: 5)
            #expect(await provider.states(["needletail-x"]) == ["needletail-x": .ended(reason: "called off while it waited for room", succeeded: true)])
            await provider.forget("needletail-x")
            #expect(await provider.states(["needletail-x"]) == ["needletail-x": .pending(reason: "Ray: waits")])
            await provider.close()
        }
        #expect(server.requests.map { "\($0.method) \($0.target)" }.contains("POST /api/jobs/needletail-x/stop"))
        #expect(server.requests.map { "\($0.method) \($0.target)" }.contains("DELETE /api/jobs/needletail-x"))
    }

    @Test(arguments: [
        (400, "refuses the job for worker abc123 (400): ValueError: no such thing", false), (401, "does not let us in (401); check 'tokenFile'", false),
        (404, "is no Ray dashboard (404)", false), (500, "failed with the job for worker abc123 (500)", true), (307, "redirects (307)", false),
    ])
    func saysWhatIsWrong(_ status: Int, _ message: String, _ isCapacity: Bool) async throws {
        let server = RecordingServer { request in
            request.method == "GET" ? (404, "no such job") : (status, "Traceback:\n  very-secret\nValueError: no such thing\n.\n")
        }
        try await server.run { address in
            let definition = definition(address)
            let provider = try RayProvider(definition)
            let error = await #expect(throws: ProviderError.self) { try await provider.start(order(definition)) }
            #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
            #expect(error?.description.contains("very-secret") == false)
            #expect(error?.isCapacity == isCapacity)
            await provider.close()
        }
    }

    @Test func saysWhenNobodyAnswers() async throws {
        let definition = definition("http://127.0.0.1:1")
        let provider = try RayProvider(definition)
        let error = await #expect(throws: ProviderError.self) { try await provider.start(order(definition)) }
        #expect(error == ProviderError("cannot reach Ray at http://127.0.0.1:1: the connection was refused", isCapacity: true))
        #expect(await provider.states(["x"]) == ["x": .unknown(reason: "cannot reach Ray at http://127.0.0.1:1: the connection was refused")])
        await provider.close()
        for path in ["/no/such/file", "/etc/hostname"] {
            var definition = definition
            definition.certificateAuthorityFile = path
            let error = #expect(throws: ProviderError.self) { try RayProvider(definition) }
            #expect(error?.description.contains(path) == true)
        }
    }

    /// A lost answer is no lost order.
    @Test func anOrderThatArrivedCountsEvenIfItsAnswerFailed() async throws {
        let server = RecordingServer { request in request.method == "POST" ? (503, "no") : (200, ["status": "PENDING"]) }
        try await server.run { address in
            let provider = try RayProvider(definition(address))
            #expect(try await provider.start(order(definition(address))) == "needletail-abc123")
            await provider.close()
        }
    }

    /// Through a real shell: the words arrive as they were.
    @Test func quotesHostileWords() async throws {
        let words = ["a b", "", "'", "';id;'", "$(id)", "`id`", "\\", "\"", "*", "~", "#x", "a\nb", "-n", "ü", "!", "&", "|", "a=b", "{a,b}", "<", "\u{1B}"]
        let line = try ShellCommand.line(["printf", "<%s>\\n"] + words)
        let place = try ProcessPlace()
        let handle = try await place.provider.start(place.order(["sh", "-c", line.replacing("\u{1B}", with: "e")]))
        _ = try await place.ended(handle)
        let expected = words.map { "<\($0)>" }.joined(separator: "\n").replacing("\u{1B}", with: "e")
        #expect(await place.provider.lastOutput(handle, lines: 100) == expected)
        // Values too, through what Ray does to them.
        let values = ["$ID", "https://h/$ID?gpu=0&x=$RUNPOD_POD_ID", "${HOME}", "\\$x\\", "end$\n\n", "'$\"`id`$(id)", "plain \\ 'x'", "%s$"]
        let environment = try RayEnvironment(values.enumerated().map { ("V\($0.offset)", $0.element) })
        #expect(environment.variables.allSatisfy { !$0.value.contains("$") } && environment.variables[6].value == values[6])
        let script = environment.prelude + "for name in 0 1 2 3 4 5 6 7; do eval \"printf '<%s>' \\\"\\$V$name\\\"\"; done; env | grep -c needletail_value"
        let second = try await place.provider.start(place.order(["sh", "-c", script], environment.variables))
        _ = try await place.ended(second)
        #expect(await place.provider.lastOutput(second, lines: 100)?.replacing("\n", with: "") == (values.map { "<\($0)>" }.joined() + "0").replacing("\n", with: ""))
        #expect(throws: ProviderError.self) { try ShellCommand.line([]) }
        #expect(throws: ProviderError.self) { try ShellCommand.line(["a", "\0"]) }
    }
}
