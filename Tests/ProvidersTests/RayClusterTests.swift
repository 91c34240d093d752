import Glibc
import JSON
import Jobs
import Providers
import Testing

/// A real cluster of two nodes (`Tests/clients/ray_cluster.py`): set `NEEDLETAIL_RAY_PYTHON` to a Python that has `ray[default]`.
@Suite(.enabled(if: getenv("NEEDLETAIL_RAY_PYTHON") != nil), .timeLimit(.minutes(5))) struct RayClusterTests {
    @Test func placesStopsAndLosesWorkers() async throws {
        let place = try ProcessPlace()
        let python = String(cString: try #require(getenv("NEEDLETAIL_RAY_PYTHON")))
        let script = #filePath.replacing("ProvidersTests/RayClusterTests.swift", with: "clients/ray_cluster.py")
        let pipe = place.folder + "/commands"
        try #require(mkfifo(pipe, 0o600) == 0)
        let cluster = try await place.shell("exec \(python) \(script) --node a=2 --node b=1 0<>\(pipe)")
        let output = try await place.output(cluster, has: "\"dashboard\": \"http://")
        let line = try #require(output.split(separator: "\n").first { $0.hasPrefix("{\"dashboard\"") })
        let info = try JSONValue(parsing: String(line))

        var definition = ProviderDefinition(.ray)
        definition.address = try #require(info["dashboard"]?.string)
        let provider = try RayProvider(definition, stopGraceSeconds: 2)
        func start(_ script: String, on node: String?, cpus: Double = 1) async throws -> String {
            var definition = definition
            definition.cpus = cpus
            if let node { definition.resources = [("node_\(node)", 1)] }
            let order = WorkerOrder(
                worker: .make(), endpoint: EndpointID("smol"), command: ["sh", "-c", script], environment: [("GREETING", "it's $HOME")],
                definition: definition)
            return try await provider.start(order)
        }
        func until(_ handle: String, _ holds: @escaping @Sendable (ProviderState) -> Bool) async throws -> ProviderState {
            try await place.until {
                let state = await provider.states([handle])[handle]
                return state.flatMap { holds($0) ? $0 : nil }
            }
        }
        let isRunning: @Sendable (ProviderState) -> Bool = { $0 == .running }
        let isOver: @Sendable (ProviderState) -> Bool = { if case .ended = $0 { true } else { false } }

        // Exit code, values as they were, log.
        let failing = try await start("echo \"$GREETING\"; exit 3", on: "a")
        #expect(try await until(failing, isOver) == .ended(reason: "exit code 3", succeeded: false))
        #expect(await provider.lastOutput(failing, lines: 20)?.contains("it's $HOME") == true)

        // No room: pending, called off.
        let big = try await start("sleep 1000", on: nil, cpus: 50)
        guard case .pending? = await provider.states([big])[big] else { throw ProviderError("not pending") }
        await provider.stop(big, graceSeconds: 2)
        #expect(isOver(await provider.states([big])[big] ?? .running))

        // Asked to end: it may finish; one that does not is killed after the grace that it was submitted with.
        let gentle = try await start("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done", on: "a")
        let stubborn = try await start("trap '' TERM; echo up; while :; do sleep 0.05; done", on: "a")
        for handle in [gentle, stubborn] {
            _ = try await until(handle, isRunning)
            _ = try await place.until { await provider.lastOutput(handle, lines: 5)?.contains("up") == true ? () : nil }
            await provider.stop(handle, graceSeconds: 2)
        }
        for handle in [gentle, stubborn] {
            #expect(try await until(handle, isOver) == .ended(reason: "stopped by Ray as asked", succeeded: true))
        }
        #expect(await provider.lastOutput(gentle, lines: 5)?.contains("bye") == true)

        // The node dies.
        let lost = try await start("sleep 1000", on: "b")
        _ = try await until(lost, isRunning)
        let commands = try #require(fopen(pipe, "w"))
        fputs("kill b\n", commands)
        fflush(commands)
        guard case .ended(let reason, false) = try await until(lost, isOver) else { throw ProviderError("not lost") }
        #expect(reason.hasPrefix("the Ray node that it ran on has died"))
        await provider.forget(lost)
        #expect(await provider.states([lost])[lost] == .missing)

        fputs("quit\n", commands)
        fclose(commands)
        _ = try await place.ended(cluster)
        guard case .unknown? = await provider.states([lost])[lost] else { throw ProviderError("Ray is still there") }
        await provider.close()
    }
}
