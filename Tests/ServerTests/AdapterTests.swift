import Engine
import JSON
import OpenAI
import Server
import StandInModel
import Synchronization
import Testing

/// Loading, naming and unloading adapters over HTTP.
@Suite struct AdapterTests {
    /// Loads anything below "/adapters/".
    private final class FakeLoader: AdapterLoader {
        let unloaded = Mutex<[Int32]>([])
        private let next = Mutex<Int32>(0)

        func load(path: String) async throws(AdapterLoadError) -> LoadedAdapter {
            guard path.hasPrefix("/adapters/") else { throw .notFound("No adapter found for '\(path)'") }
            guard !path.hasSuffix("bad") else { throw .refused("'q_proj' takes 3 inputs") }
            return LoadedAdapter(
                loraID: next.withLock {
                    $0 += 1
                    return $0
                }, summary: "7 modules")
        }

        func unload(_ loraID: Int32) { unloaded.withLock { $0.append(loraID) } }
    }

    private static var allowing: ServerOptions {
        var options = ServerOptions()
        options.allowsAdapterUpdates = true
        return options
    }

    @Test func loadNameUnload() async throws {
        let generator = FakeGenerator { _ in .tokens(FakeText.ids("Hello"), .length) }
        let loader = FakeLoader()
        try await LoopbackServer.run(generator, options: Self.allowing, adapterLoader: loader) { server in
            #expect(try await server.complete("{\"prompt\":\"x\",\"model\":\"sql\"}").status == 404)
            let loaded = try await server.post("/v1/load_lora_adapter", "{\"lora_name\":\"sql\",\"lora_path\":\"/adapters/sql\"}")
            #expect(loaded.status == 200 && loaded.body == "Success: LoRA adapter 'sql' added successfully.")
            #expect(loaded.headers["content-type"]?.hasPrefix("text/plain") == true)
            let card = try await server.get("/v1/models/sql").json
            #expect(card["id"] == "sql" && card["parent"] == "fake" && card["root"] == "/adapters/sql" && card["max_model_len"]?.isNull == true)
            let cards = try await server.get("/v1/models").json["data"]?.array ?? []
            #expect(cards.compactMap { $0["id"]?.string } == ["fake", "alias/fake", "sql"])

            let reply = try await server.complete("{\"prompt\":\"x\",\"model\":\"sql\"}")
            #expect(reply.status == 200 && reply.json["model"] == "sql")
            _ = try await server.complete("{\"prompt\":\"x\",\"model\":\"fake\"}")
            #expect(generator.log.withLock { $0.requests.map(\.loraID) } == [1, nil])

            let replaced = try await server.post(
                "/v1/load_lora_adapter", "{\"lora_name\":\"sql\",\"lora_path\":\"/adapters/new\",\"load_inplace\":true}")
            #expect(replaced.status == 200)
            #expect(loader.unloaded.withLock { $0 } == [1])
            _ = try await server.complete("{\"prompt\":\"x\",\"model\":\"sql\"}")
            #expect(generator.log.withLock { $0.requests.last?.loraID } == 2)

            let unloaded = try await server.post("/v1/unload_lora_adapter", "{\"lora_name\":\"sql\"}")
            #expect(unloaded.status == 200 && unloaded.body == "Success: LoRA adapter 'sql' removed successfully.")
            #expect(loader.unloaded.withLock { $0 } == [1, 2])
            #expect(try await server.complete("{\"prompt\":\"x\",\"model\":\"sql\"}").status == 404)
        }
    }

    @Test func refusals() async throws {
        let generator = FakeGenerator { _ in .tokens(FakeText.ids("Hello"), .length) }
        try await LoopbackServer.run(generator, options: Self.allowing, adapterLoader: FakeLoader()) { server in
            _ = try await server.post("/v1/load_lora_adapter", "{\"lora_name\":\"a\",\"lora_path\":\"/adapters/a\"}")
            let cases: [(path: String, body: String, status: Int, type: String, mentions: String)] = [
                ("load", "{\"lora_path\":\"/adapters/b\"}", 400, "InvalidUserInput", "must be provided"),
                ("load", "{\"lora_name\":\"b\"}", 400, "InvalidUserInput", "must be provided"),
                ("load", "{\"lora_name\":\"a\",\"lora_path\":\"/adapters/b\"}", 400, "InvalidUserInput", "already been loaded"),
                ("load", "{\"lora_name\":\"fake\",\"lora_path\":\"/adapters/b\"}", 400, "InvalidUserInput", "base model"),
                ("load", "{\"lora_name\":\"b\",\"lora_path\":\"/nowhere\"}", 404, "NotFoundError", "/nowhere"),
                ("load", "{\"lora_name\":\"b\",\"lora_path\":\"/adapters/bad\"}", 400, "BadRequestError", "q_proj"),
                ("load", "{\"lora_name\":5,\"lora_path\":\"/adapters/b\"}", 400, "Bad Request", "string"),
                ("unload", "{}", 400, "InvalidUserInput", "needs to be provided"),
                ("unload", "{\"lora_name\":\"b\"}", 404, "NotFoundError", "cannot be found"),
            ]
            for item in cases {
                let reply = try await server.post("/v1/\(item.path)_lora_adapter", item.body)
                #expect(reply.status == item.status, "\(item.body) → \(reply.body)")
                #expect(reply.error["type"]?.string == item.type, "\(item.body) → \(reply.body)")
                #expect(reply.error["message"]?.string?.contains(item.mentions) == true, "\(item.body) → \(reply.body)")
            }
            // A refused load leaves its name free.
            #expect(try await server.post("/v1/load_lora_adapter", "{\"lora_name\":\"b\",\"lora_path\":\"/adapters/b\"}").status == 200)
        }
    }

    @Test func theRoutesAreOffUnlessAllowed() async throws {
        let generator = FakeGenerator { _ in .tokens(FakeText.ids("Hello"), .length) }
        try await LoopbackServer.run(generator, adapterLoader: FakeLoader()) { server in
            let reply = try await server.post("/v1/load_lora_adapter", "{\"lora_name\":\"a\",\"lora_path\":\"/adapters/a\"}")
            #expect(reply.status == 404)
            #expect(reply.error["message"]?.string?.contains("--allow-runtime-lora-updating") == true)
        }
        // An adapter that went between naming and submission.
        try await LoopbackServer.run(FakeGenerator { _ in .refuse(.unknownAdapter(3)) }) { server in
            let reply = try await server.complete("{\"prompt\":\"x\"}")
            #expect(reply.status == 404)
        }
    }
}
