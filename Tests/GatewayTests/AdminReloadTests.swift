import Gateway
import JSON
import Jobs
import NIOHTTP1
import Testing

/// What is changed over the admin API holds, whatever the file and the store do meanwhile.
@Suite struct AdminReloadTests {
    private let file: JSONValue = ["keys": LiveGateway.keys, "endpoints": ["e": ["provider": "none"]]]

    private func makeKey(_ name: String, _ gateway: LiveGateway) async throws -> String {
        let made = try await gateway.admin(.POST, "keys", "{\"name\": \"\(name)\"}")
        return try #require(made.json["key"]?.string, "\(made)")
    }

    private func health(_ gateway: LiveGateway, _ key: String, _ endpoint: String = "e") async throws -> Int {
        try await gateway.call(.GET, "/v2/\(endpoint)/health", key: key).status
    }

    @Test func aBrokenFileKeepsNothingFromHolding() async throws {
        try await LiveGateway.with(file) { gateway async throws in
            let old = try await makeKey("old", gateway)
            gateway.edit(["keyz": []])
            let answer = try await gateway.admin(.POST, "reload")
            #expect(answer.status == 400 && answer.text.contains("keyz"))
            #expect(try await gateway.admin(.DELETE, "keys/old").status == 200)
            #expect(try await health(gateway, old) == 401)
            let new = try await makeKey("new", gateway)
            #expect(try await health(gateway, new) == 200)
            #expect(try await gateway.admin(.PUT, "endpoints/x", #"{"provider": "none"}"#).status == 200)
            #expect(try await health(gateway, new, "x") == 200)
            // The file's part is as it was.
            #expect(try await health(gateway, LiveGateway.clientKey) == 200)
        }
    }

    @Test func onlyAReloadReadsTheFile() async throws {
        try await LiveGateway.with(file) { gateway async throws in
            gateway.edit(["keys": LiveGateway.keys, "endpoints": ["other": ["provider": "none"]]])
            let key = try await makeKey("new", gateway)
            #expect(try await health(gateway, key) == 200)
            #expect(try await health(gateway, key, "other") == 404)
            #expect(try await gateway.admin(.POST, "reload").status == 200)
            #expect(try await health(gateway, key) == 404)
            // And what it read stays.
            #expect(try await gateway.admin(.DELETE, "keys/new").status == 200)
            #expect(try await health(gateway, LiveGateway.clientKey, "other") == 200)
        }
    }

    @Test func whatIsNotInForceIsNotCalledDone() async throws {
        try await LiveGateway.with(file) { gateway async throws in
            let key = try await makeKey("old", gateway)
            gateway.store.fail([.definitions])
            for (method, path, body) in [("DELETE", "keys/old", nil), ("POST", "keys", #"{"name": "new"}"#), ("PUT", "endpoints/x", #"{"provider": "none"}"#)] {
                let answer = try await gateway.admin(.init(rawValue: method), path, body)
                #expect(answer.status == 500 && answer.text.contains("told to fail"), "\(answer)")
            }
            #expect(try await health(gateway, key) == 200)
            gateway.store.fail([])
            // Asked again, the removal holds.
            #expect(try await gateway.admin(.DELETE, "keys/old").status == 404)
            #expect(try await health(gateway, key) == 401)
        }
    }

    @Test func theLastReloadDecides() async throws {
        try await LiveGateway.with(file) { gateway async throws in
            let key = try await makeKey("old", gateway)
            let (held, isHeld) = AsyncStream.makeStream(of: Void.self)
            let (open, opening) = AsyncStream.makeStream(of: Void.self)
            gateway.store.holdKeys {
                isHeld.finish()
                for await _ in open {}
            }
            // This one has read the key already when it is removed, and goes on last.
            async let reload = gateway.admin(.POST, "reload")
            for await _ in held {}
            async let removal = gateway.admin(.DELETE, "keys/old")
            for await _ in gateway.store.removals { break }
            // Room for a removal that does not wait for its turn.
            try await Task.sleep(for: .milliseconds(300))
            opening.finish()
            #expect(try await reload.status == 200)
            #expect(try await removal.status == 200)
            #expect(try await health(gateway, key) == 401)
        }
    }

    @Test func aRemovedEndpointsWorkerEndsWhatItHas() async throws {
        let workerKey = "worker-key-of-the-tests"
        let keys = JSONValue.array((LiveGateway.keys.array ?? []) + [["name": "w", "role": "worker", "key": .string(workerKey)]])
        let file: JSONValue = ["keys": keys, "endpoints": ["e": ["provider": "none"]]]
        try await LiveGateway.with(file) { gateway async throws in
            let id = try #require(try await gateway.call(.POST, "/v2/e/run", #"{"input": {}}"#, key: LiveGateway.clientKey).json["id"]?.string)
            #expect(try await gateway.call(.GET, "/v2/e/job-take/w1", key: workerKey).json["id"]?.string == id)
            gateway.edit(["keys": keys])
            #expect(try await gateway.admin(.POST, "reload").status == 200)
            #expect(try await gateway.call(.GET, "/v2/e/job-take/w1", key: workerKey).status == 404)
            // One that nobody knows is not made known by asking.
            #expect(try await gateway.call(.GET, "/v2/e/ping/w2", key: workerKey).status == 404)
            #expect(try await gateway.call(.POST, "/v2/e/job-done/w1/\(id)", #"{"output": 7}"#, key: workerKey).status == 200)
            gateway.edit(file)
            #expect(try await gateway.admin(.POST, "reload").status == 200)
            let job = try await gateway.call(.GET, "/v2/e/status/\(id)", key: LiveGateway.clientKey)
            #expect(job.json["status"]?.string == "COMPLETED" && job.json["output"] == 7, "\(job)")
        }
    }

    @Test func theAddressInUseDecidesWhetherKeysAreNeeded() throws {
        let key = AccessKey(name: "app", role: .client, hash: AccessKeyText.hash(of: LiveGateway.clientKey), endpoints: nil, createdAt: .now)
        var start = GatewayConfiguration()
        start.host = "0.0.0.0"
        start.keys = [key]
        try start.check()
        try start.check(since: start)
        func refusal(_ edit: (inout GatewayConfiguration) -> Void) -> String {
            var edited = start
            edit(&edited)
            do { try edited.check(since: start) } catch { return error.description }
            return ""
        }
        // The socket would still be open to the network.
        #expect(refusal { $0.host = "127.0.0.1"; $0.keys = [] }.contains("needs a restart"))
        #expect(refusal { $0.port = 1 }.contains("needs a restart"))
        #expect(refusal { $0.certificateFile = "a"; $0.privateKeyFile = "b" }.contains("needs a restart"))
        #expect(refusal { $0.keys = [] }.contains("without a key"))
        #expect(refusal { $0.shutdownGrace = 1 } == "")
        start.host = "127.evil.example"
        start.keys = []
        #expect(throws: DefinitionError.self) { try start.check() }
    }

    @Test func aChangedAddressChangesNothing() async throws {
        try await LiveGateway.with(file) { gateway async throws in
            gateway.edit(["listen": "127.0.0.2:0", "endpoints": ["e": ["provider": "none"]]])
            let answer = try await gateway.admin(.POST, "reload")
            #expect(answer.status == 400 && answer.text.contains("needs a restart"))
            #expect(try await gateway.call(.GET, "/v2/e/health").status == 401)
            #expect(try await health(gateway, LiveGateway.clientKey) == 200)
        }
    }
}
